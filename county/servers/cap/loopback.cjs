// Servers here open their port to this machine only.
const net = require('net')
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (...given) {
  if (typeof given[0] === 'number' || /^\d+$/.test(given[0])) {
    if (typeof given[1] !== 'string') given.splice(1, 0, '127.0.0.1')
  } else if (given[0] && typeof given[0] === 'object' && 'port' in given[0] && given[0].path === undefined) {
    given[0] = { ...given[0], host: '127.0.0.1' }
  }
  return listen.apply(this, given)
}
