import { isValidTopicFilter } from './topics.js';

/**
 * What an access rule may have as its topic: a filter, with `%u` for the login. Says what is wrong, as the rest of a
 * sentence that begins with the topic; null when nothing is. Asked when the configuration is read, where the line can
 * be named, and again when rules are compiled.
 */
export function whyNotARuleTopic(topic: string): string | null {
  if (topic.startsWith('$share/')) return 'names a shared subscription: write the filter alone, it covers both';
  if (/%(?!u)/.test(topic)) return 'has a "%" that is not "%u": the login is the only placeholder';
  if (!isValidTopicFilter(topic)) {
    return 'is not a topic filter: "+" and "#" stand alone between slashes, "#" only at the end';
  }
  return null;
}
