import { explain } from '../acl/explain.js';
import { denialText } from '../acl/hint.js';
import { isValidTopicFilter, isValidTopicName } from '../mqtt/topics.js';
import type { AdminContext } from './context.js';
import { type AdminRequest, type Answer, json, Refusal, type Route } from './route.js';

/** The rules in force. */
export function aclRoutes({ parts }: AdminContext): readonly Route[] {
  const { rules, accounts } = parts;

  function answer({ body }: AdminRequest): Answer {
    const { login, access, topic } = body;
    if (typeof login !== 'string' || login === '') throw badBody('login is missing');
    if (access !== 'read' && access !== 'write') throw badBody('access is read or write');
    const valid =
      typeof topic === 'string' && (access === 'read' ? isValidTopicFilter(topic) : isValidTopicName(topic));
    if (!valid) throw badBody(`topic is a topic ${access === 'read' ? 'filter' : 'to publish to'}`);
    const own = rules.of(login);
    const { allowed, rule } = access === 'read' ? own.subscribe(topic) : own.publish(topic);
    const person = rules.acl.person(login, accounts.known(login)?.groups);
    const reasons = explain(rules.acl, person, access, topic).map(({ place, rule: text, grants, why }) => ({
      ...{ place, rule: text, grants, why },
    }));
    const mayRead = access === 'write' && own.deliver(topic).allowed;
    return json({ allowed, rule, hint: allowed ? null : denialText(login, topic, mayRead), reasons });
  }

  return [{ method: 'POST', path: '/acl/explain', answer }];
}

function badBody(message: string): Refusal {
  return new Refusal(400, 'bad-body', message);
}
