/** Changes to what operators have the broker do. */
const forget = ['test/admin/forget.test.ts'];
const port = ['test/admin/port.test.ts'];

export const mutants = [
  {
    name: 'the Will of a live client that is forgotten is published',
    file: 'src/connection/client.ts',
    find: "reason === 'disconnect' || reason === 'forgotten'",
    replace: "reason === 'disconnect'",
    tests: forget,
  },
  {
    name: 'the delayed Will of who is forgotten is published',
    file: 'src/admin/forget.ts',
    find: 'wills.dropDelayed(login);',
    replace: '',
    tests: forget,
  },
  {
    name: 'what others have published in the tree of who is forgotten stays',
    file: 'src/mqtt/retained-owner.ts',
    find: '(home !== null && ',
    replace: '(home === undefined && ',
    tests: forget,
  },
  {
    name: 'a tree whose name begins with that of who is forgotten goes too',
    file: 'src/mqtt/retained-owner.ts',
    find: '.startsWith(home)',
    replace: '.startsWith(home.slice(0, -1))',
    tests: forget,
  },
  {
    name: 'limits of who is forgotten stay',
    file: 'src/admin/forget.ts',
    find: 'if (limits) accounts.setOverride(login, null);',
    replace: '',
    tests: forget,
  },
  {
    name: 'a stopped broker keeps the Wills of who is forgotten',
    file: 'src/store/forget-user.ts',
    find: 'for (const clientId of wills) store.deleteWill(clientId);',
    replace: '',
    tests: forget,
  },
  {
    name: 'whoever is forgotten may come in meanwhile',
    file: 'src/connection/stranger.ts',
    find: 'keptOut !== null',
    replace: "keptOut === 'banned'",
    tests: forget,
  },
  {
    name: 'connections to the port have no limit',
    file: 'src/admin/room.ts',
    find: 'if (this.#open.size > this.#most) this.#makeRoom();',
    replace: '',
    tests: port,
  },
  {
    name: 'a stream that is gone keeps its place',
    file: 'src/admin/room.ts',
    find: `this.#open.delete(socket);
      this.#streams.delete(socket);`,
    replace: 'this.#open.delete(socket);',
    tests: port,
  },
  {
    name: 'what follows a refused request is read',
    file: 'src/admin/door.ts',
    find: "response.setHeader('connection', 'close');",
    replace: '',
    tests: port,
  },
];
