// An edge node of Eclipse's own client: `edge.cjs URL`; what it should publish comes as lines of JSON.
const client = require('sparkplug-client').newClient({
  serverUrl: process.argv[2], username: '', password: '', groupId: '工厂A', edgeNode: 'line1',
  clientId: 'edge-line1', version: 'spBv1.0', publishDeath: true,
});
const births = { '': [{ name: 'Node Control/Rebirth', type: 'Boolean', value: false }] };
const birth = () => {
  for (const [device, metrics] of Object.entries(births)) {
    const payload = { timestamp: Date.now(), metrics: metrics.map((each) => ({ ...each })) };
    if (device) client.publishDeviceBirth(device, payload);
    else client.publishNodeBirth(payload);
  }
};
const say = (text) => process.stdout.write(`${text}\n`);
client.on('birth', () => { birth(); say('born'); });
client.on('ncmd', (payload) => { if (payload.metrics.some((m) => m.name === 'Node Control/Rebirth')) { birth(); say('reborn'); } });
client.on('error', (wrong) => say(`error ${wrong}`));
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { act, device, metrics } = JSON.parse(line);
  const payload = { timestamp: Date.now(), metrics };
  if (act === 'birth') { births[device] = metrics; client.publishDeviceBirth(device, payload); }
  if (act === 'data') client.publishDeviceData(device, payload);
  if (act === 'death') client.publishDeviceDeath(device, payload);
  if (act === 'skip') client.seq += 1;
}).on('close', () => client.stop());
