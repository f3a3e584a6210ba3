// Loaded before what runs tests, to make it a third cheaper. node:test notes for every asynchronous resource, each promise
// among them, which test it is of, and has itself told by the garbage collector when one is gone: that costs more than
// most of what is tested. It wants to know it for two things alone. Of which suite a test is: so that is noted while there
// is a suite that still says what its tests are. And whose an error is that nobody catches: so it is told, when there is
// one, that it is of the test that runs, the one that began last of several at a time. What is lost: an error of something
// that an earlier test has left behind fails the test that runs by then. The stack says where it comes from.
import asyncHooks from 'node:async_hooks';

const { AsyncResource, createHook, executionAsyncId } = asyncHooks;

asyncHooks.createHook = (callbacks) => {
  // Once: it is node:test that asks first.
  asyncHooks.createHook = createHook;
  const { init, destroy } = callbacks;
  if (init === undefined || destroy === undefined) return createHook(callbacks);
  const hook = createHook({ init });
  const running = followTests(hook, init);
  const tell = () => {
    const test = running();
    if (test === undefined) destroy(executionAsyncId());
    else note(init, executionAsyncId(), test);
  };
  // Before node:test listens.
  process.on('uncaughtException', tell).on('unhandledRejection', tell);
  return { enable() {}, disable: () => hook.disable() };
};

/** Says that a resource is of a test or suite, which is a resource itself. */
function note(init, id, test) {
  init(id, 'Test', 0, test);
}

/** Enables the hook while suites are made, and says which test runs. node:test calls the functions of both through this. */
function followTests(hook, init) {
  const { runInAsyncScope } = AsyncResource.prototype;
  let suites = 0;
  let tests = [];
  AsyncResource.prototype.runInAsyncScope = function (...args) {
    if (isTest(this)) {
      note(init, this.asyncId(), this);
      tests = [...tests.filter(({ finished }) => !finished), this];
    }
    if (this.reportedType !== 'suite') return Reflect.apply(runInAsyncScope, this, args);
    note(init, this.asyncId(), this);
    if (suites++ === 0) hook.enable();
    const result = Reflect.apply(runInAsyncScope, this, args);
    const made = () => {
      if (--suites === 0) hook.disable();
    };
    if (typeof result?.then === 'function') result.then(made, made);
    else made();
    return result;
  };
  return () => tests.findLast(({ finished }) => !finished);
}

/** Neither the root of them, nor a suite, nor a hook, whose errors fail the file. */
function isTest({ finished, parent, reportedType, hookType }) {
  return finished === false && parent !== null && reportedType !== 'suite' && hookType === undefined;
}
