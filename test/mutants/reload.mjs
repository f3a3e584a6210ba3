/** Changes to what other rules and another configuration change while the broker runs. The fields are told in session.mjs. */
const reload = ['test/reload.test.ts'];
const rules = ['test/session/rule-changes.test.ts'];

export const mutants = [
  {
    name: 'the expiry of sessions stays what it was at the start',
    file: 'src/broker-reload.ts',
    find: 'live.sessionExpiryMs = next.storage.sessionExpiryMs;',
    replace: '',
    tests: reload,
  },
  {
    name: 'as many may connect as at the start',
    file: 'src/broker-reload.ts',
    find: 'listener.limitsChanged();',
    replace: '',
    tests: reload,
  },
  {
    name: 'the level of the log stays',
    file: 'src/broker-reload.ts',
    find: 'apply: () => setLogLevel(this.#options.log, level)',
    replace: 'apply: () => setLogLevel(this.#options.log, this.#options.config.log.level ?? level)',
    tests: reload,
  },
  {
    name: 'pages of other origins are let in as at the start',
    file: 'src/web/web.ts',
    find: `config = next;
      hosts.configure(next);`,
    replace: 'hosts.configure(next);',
    tests: ['test/web/websocket.test.ts'],
  },
  {
    name: 'two reloads go on side by side',
    file: 'src/broker-reload.ts',
    find: 'this.#running.then(() => this.#reload(dryRun))',
    replace: 'this.#reload(dryRun)',
    tests: reload,
  },
  {
    name: 'routes that were found by the former rules are good until it is the turn of their user',
    file: 'src/session/rule-changes.ts',
    find: 'if (accounts.length > 0) this.#options.router.forgetRoutes();',
    replace: '',
    tests: rules,
  },
  {
    name: 'whoever has other rules is asked about no topic again',
    file: 'src/session/rule-changes.ts',
    find: 'account.topics.clear();',
    replace: '',
    tests: rules,
  },
  {
    name: 'other rules take messages of QoS 0 along that they allow',
    file: 'src/session/backlog.ts',
    find: 'if (mayReceive(item.message!.topic)) return true;',
    replace: 'if (mayReceive(item.message!.topic) && item.qos > 0) return true;',
    tests: rules,
  },
  {
    name: 'what waits in memory stays, whatever other rules deny',
    file: 'src/session/backlog.ts',
    find: `if (mayReceive(item.message!.topic)) return true;
      this.#remove(item);`,
    replace: `if (mayReceive(item.message!.topic) || item.qos > 0) return true;
      this.#remove(item);`,
    tests: rules,
  },
];
