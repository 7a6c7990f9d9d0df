// The JavaScript library: what it gets, and status and text of its errors.
'use strict';
const Docker = require('dockerode');
const {PassThrough} = require('stream');

const docker = new Docker({socketPath: process.argv[2], version: 'v1.41'});
const steps = [];
const step = (name, value) => steps.push([name, value]);

async function error(name, call) {
  try {
    await call();
    step(name, 'no error');
  } catch (failed) {
    step(name, {status: failed.statusCode, text: failed.json && failed.json.message});
  }
}

function collect(stream) {
  const parts = [];
  stream.on('data', part => parts.push(part));
  return () => Buffer.concat(parts).toString();
}

async function containers() {
  const out = new PassThrough(), err = new PassThrough();
  const text = [collect(out), collect(err)];
  const [result, gone] = await docker.run('busybox', ['sh', '-c', 'echo o; echo e >&2; exit 6'],
                                          [out, err], {Tty: false});
  step('run', {result, out: text[0](), err: text[1]()});
  await gone.remove();

  const one = await docker.createContainer({
    Image: 'busybox', name: 'js', Cmd: ['sh', '-c', 'read line; echo got $line; sleep 100'],
    OpenStdin: true, StdinOnce: true, AttachStdin: true,
    HostConfig: {PidsLimit: 50, Memory: 67108864},
  });
  const stream = await one.attach({stream: true, stdin: true, stdout: true, hijack: true});
  const attached = new PassThrough();
  const said = collect(attached);
  docker.modem.demuxStream(stream, attached, attached);
  await one.start();
  stream.write('words\n');
  for (let i = 0; i < 100 && !said().includes('got'); ++i)
    await new Promise(done => setTimeout(done, 50));
  step('attach', said());
  const exec = await one.exec({Cmd: ['sh', '-c', 'cat; exit 9'], AttachStdin: true,
                               AttachStdout: true});
  const io = await exec.start({hijack: true, stdin: true});
  const echo = new PassThrough();
  const echoed = collect(echo);
  docker.modem.demuxStream(io, echo, echo);
  io.end('through\n');
  await new Promise(done => io.on('end', done));
  const info = await exec.inspect();
  step('exec', {text: echoed(), code: info.ExitCode, running: info.Running,
                keys: Object.keys(info).sort()});
  const top = await one.top();
  step('top', {titles: top.Titles, count: top.Processes.length});
  step('logs', (await one.logs({stdout: true})).toString('utf8').slice(8));
  const listed = await docker.listContainers({filters: {name: ['js']}});
  step('list', listed.map(c => ({names: c.Names, state: c.State, keys: Object.keys(c).sort()})));
  await error('exec-bad', () => one.exec({}));
  await error('start-twice', () => one.start());
  await error('remove-running', () => one.remove());
  await one.stop({t: 0});
  await error('stop-twice', () => one.stop());
  await error('attach-absent', () => docker.getContainer('absent').attach({stream: true}));
  await one.remove();
  await error('inspect-absent', () => one.inspect());
  await error('create-nothing', () => docker.createContainer({}));
}

async function others() {
  const net = await docker.createNetwork({Name: 'jsnet', CheckDuplicate: true});
  step('network', Object.keys(await net.inspect()).sort());
  await error('network-taken', () => docker.createNetwork({Name: 'jsnet', CheckDuplicate: true}));
  await error('network-no-name', () => docker.createNetwork({}));
  await error('connect-absent', () => net.connect({Container: 'absent'}));
  await net.remove();
  await error('network-absent', () => net.inspect());
  await error('image-absent', () => docker.getImage('absent:1').inspect());
  await error('image-remove-absent', () => docker.getImage('absent:1').remove());
}

containers().then(others).then(() => process.stdout.write(JSON.stringify(steps)))
    .catch(failed => { console.error(failed); process.exit(1); });
