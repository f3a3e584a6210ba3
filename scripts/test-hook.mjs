// Loaded before what runs tests, to make it a fifth cheaper. node:test notes for every asynchronous resource, each promise
// among them, which test it is of, and has itself told by the garbage collector when one is gone: that costs more than
// most of what is tested. Here it forgets those that are not among the newest instead. What is lost: an error that nobody
// catches, and that comes from a resource made long ago, fails the file and not the test.
import asyncHooks from 'node:async_hooks';

const remembered = 1 << 18;
const { createHook } = asyncHooks;

asyncHooks.createHook = ({ init, destroy, ...others }) => {
  // Once: it is node:test that asks first.
  asyncHooks.createHook = createHook;
  if (init === undefined || destroy === undefined) return createHook({ init, destroy, ...others });
  const newest = new Float64Array(remembered);
  let made = 0;
  return createHook({
    ...others,
    init(id, type, triggerId, resource) {
      const at = made++ % remembered;
      if (newest[at] !== 0) destroy(newest[at]);
      newest[at] = id;
      init(id, type, triggerId, resource);
    },
  });
};
