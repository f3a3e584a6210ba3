// Ends with one line on a Node.js that is too old, before anything that it cannot read is loaded. What the installed
// command does is in src/main.ts.
if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(
    `This is Node.js ${process.version}, and 20 or later is needed; 24 is recommended. Install that one, and see that "node --version" says so.`,
  );
  process.exit(2);
}
