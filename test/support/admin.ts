import { type IncomingHttpHeaders, request } from 'node:http';

export interface AdminResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The text as JSON. */
  readonly body: unknown;
}

export interface AdminQuestion {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/** Asks over a Unix socket, or over a port of the loopback interface; whatever is wrong is sent as it is. */
export function askAdmin(
  where: string | number,
  path: string,
  { method = 'GET', headers = {}, body }: AdminQuestion = {},
): Promise<AdminResponse> {
  const text = body === undefined || typeof body === 'string' ? (body ?? '') : JSON.stringify(body);
  const type = body === undefined ? {} : { 'content-type': 'application/json' };
  const target = typeof where === 'string' ? { socketPath: where } : { host: '127.0.0.1', port: where };
  return new Promise((resolve, reject) => {
    const asking = request({ ...target, method, path, headers: { ...type, ...headers }, agent: false }, (response) => {
      let answer = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        answer += chunk;
      });
      response.on('error', reject).on('end', () => {
        const { statusCode = 0, headers: given } = response;
        resolve({ status: statusCode, headers: given, text: answer, body: parsed(answer) });
      });
    });
    asking.on('error', reject);
    asking.end(text);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The code in an answer that refuses. */
export function codeOf({ body }: AdminResponse): string | undefined {
  return (body as { error?: { code?: string } } | undefined)?.error?.code;
}
