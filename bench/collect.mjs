// Loaded into a broker under measurement: SIGUSR2 has it collect its garbage, so that what is weighed is what it keeps.
process.on('SIGUSR2', () => globalThis.gc());
