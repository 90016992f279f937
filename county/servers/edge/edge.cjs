// An edge node of Eclipse's own client: `edge.cjs URL GROUP NODE [HOST]`; what it should publish comes as lines of JSON.
const [url, groupId, edgeNode, host] = process.argv.slice(2);
const client = require('sparkplug-client').newClient({
  serverUrl: url, username: '', password: '', groupId, edgeNode,
  clientId: `edge-${groupId}-${edgeNode}`, version: 'spBv1.0', publishDeath: true,
});
const births = { '': { metrics: [{ name: 'Node Control/Rebirth', type: 'Boolean', value: false }] } };
const dated = ({ timestamp, metrics }) => ({ timestamp: timestamp ?? Date.now(), metrics: metrics.map((each) => ({ ...each })) });
const birth = () => {
  for (const [device, said] of Object.entries(births)) {
    if (device) client.publishDeviceBirth(device, dated(said));
    else client.publishNodeBirth(dated(said));
  }
};
const say = (text) => process.stdout.write(`${text}\n`);
client.on('birth', () => { birth(); say('born'); });
client.on('ncmd', (payload) => { if (payload.metrics.some((m) => m.name === 'Node Control/Rebirth')) { birth(); say('reborn'); } });
client.on('error', (wrong) => say(`error ${wrong}`));
// Who should listen does: a node that waited for it is born anew.
const watch = host && require('mqtt').connect(url, { clientId: `watch-${groupId}-${edgeNode}` });
if (watch) {
  watch.on('connect', () => watch.subscribe(`spBv1.0/STATE/${host}`));
  watch.on('message', (_topic, body) => { if (JSON.parse(body).online) { birth(); say('host'); } });
  watch.on('error', (wrong) => say(`error ${wrong}`));
}
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { act, device, ...said } = JSON.parse(line);
  if (act === 'birth') { births[device] = said; client.publishDeviceBirth(device, dated(said)); }
  if (act === 'data') {
    client.publishDeviceData(device, dated(said));
    // Born anew, it says what is so now.
    if (said.timestamp) births[device] = said;
  }
  if (act === 'death') client.publishDeviceDeath(device, dated(said));
  if (act === 'skip') client.seq += 1;
}).on('close', () => { client.stop(); watch?.end(); });
