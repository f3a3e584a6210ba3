import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { packageFolder } from '../../src/config/package-folder.js';

type Schema = Readonly<Record<string, unknown>>;

export interface Operation {
  readonly parameters?: readonly Schema[];
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }>
  >;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** What docs/openapi.yaml says, for tests that hold answers to it. */
export class OpenApi {
  readonly document: Document;

  constructor() {
    this.document = parse(readFileSync(join(packageFolder(), 'docs', 'openapi.yaml'), 'utf8')) as Document;
  }

  /** `GET /status`, … */
  get operations(): Map<string, Operation> {
    return new Map(
      Object.entries(this.document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const),
      ),
    );
  }

  /** Where a value is not as the operation's answer with this status is described; an empty list: it is. */
  complaints(operation: string, value: unknown, status = 200): string[] {
    const { responses } = this.operations.get(operation) ?? { responses: {} };
    if (status !== 200 && responses[status] === undefined) return this.#check(this.#named('Error'), value, 'answer');
    const schema = responses[status]?.content?.['application/json']?.schema;
    return schema === undefined ? [`${operation} has no answer ${status}`] : this.#check(schema, value, 'answer');
  }

  #named(name: string): Schema {
    const schema = this.document.components.schemas[name];
    if (schema === undefined) throw new Error(`docs/openapi.yaml has no schema ${name}`);
    return schema;
  }

  #check(schema: Schema, value: unknown, at: string): string[] {
    if (typeof schema.$ref === 'string') return this.#check(this.#named(schema.$ref.split('/').at(-1)!), value, at);
    if ('const' in schema) return value === schema.const ? [] : [`${at} is ${String(value)}`];
    if (Array.isArray(schema.enum)) return schema.enum.includes(value) ? [] : [`${at} is ${String(value)}`];
    if (Array.isArray(schema.oneOf)) {
      const tried = schema.oneOf.map((each) => this.#check(each as Schema, value, at));
      return tried.some((complaints) => complaints.length === 0) ? [] : tried.flat();
    }
    const types = [schema.type].flat();
    if (!types.some((type) => isOfType(value, type))) return [`${at} is ${typeof value}, not ${types.join(' or ')}`];
    if (Array.isArray(value)) {
      return value.flatMap((item, i) => this.#check((schema.items ?? {}) as Schema, item, `${at}[${i}]`));
    }
    return typeof value === 'object' && value !== null ? this.#checkObject(schema, value, at) : [];
  }

  #checkObject(schema: Schema, value: object, at: string): string[] {
    const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>;
    const missing = ((schema.required ?? []) as string[]).filter((name) => !(name in value));
    const other = schema.additionalProperties;
    return [
      ...missing.map((name) => `${at}.${name} is missing`),
      ...Object.entries(value).flatMap(([name, item]) => {
        if (Object.hasOwn(properties, name)) return this.#check(properties[name]!, item, `${at}.${name}`);
        if (typeof other === 'object' && other !== null) return this.#check(other as Schema, item, `${at}.${name}`);
        return [`${at}.${name} is not described`];
      }),
    ];
  }
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'null') return value === null;
  if (type === 'integer') return Number.isSafeInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
