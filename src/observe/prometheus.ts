/** Numbers by name, in the text format of Prometheus: `_total` at the end makes a counter, all others are gauges. */
export function prometheusText(numbers: Readonly<Record<string, number>>): string {
  let text = '';
  for (const [name, value] of Object.entries(numbers)) {
    const metric = `iotlab_broker_${name.replaceAll(/[^a-zA-Z0-9_]/g, '_')}`;
    text += `# TYPE ${metric} ${name.endsWith('_total') ? 'counter' : 'gauge'}\n${metric} ${value}\n`;
  }
  return text;
}
