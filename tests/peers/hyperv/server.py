#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A peer for tests of the Hyper-V driver: WinRM over HTTPS on 127.0.0.1, two hosts, NTLMv2.

    server.py --cert cert.pem --key key.pem

Prints "listening PORT CONTROL-PORT" when ready and ends with its standard input. The control port (plain
HTTP, for the test only) takes POST /fault, /clear, /settings, /vm, /forget, /expire, /die and GET /calls, /jobs,
/vms, /files, /switches, /ports. What it proves, and what not: README.md.
"""
import argparse
import http.server
import json
import os
import re
import socket
import ssl
import sys
import threading
import time

import authority
import wsman
from host import VM, File, Host

SETTINGS = {'jobMs': 20, 'guestMs': 0, 'shutdownMs': 30, 'jobs': 'some', 'page': 40, 'cimXml': False, 'deaf': False,
            'migrates': True, 'diskPath': 'C:\\VMs\\Disks', 'address': ''}
settings = dict(SETTINGS)
hosts = [Host('HV1', settings, []), Host('HV2', settings, [])]
for one in hosts:
    one.others = [other for other in hosts if other is not one]
services = [wsman.Service(one, settings) for one in hosts]
seen = {'total': 0, 'connections': 0, 'unauthorized': 0, 'rejected': [], 'calls': []}
faults = []
lock = threading.RLock()
logins = 0  # what was let in under an older number is nobody's again


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)
            os._exit(1)


def take_fault(key):
    with lock:
        for fault in faults:
            if fault['times'] > 0 and re.search(fault['match'], key):
                fault['times'] -= 1
                return fault
    return None


class Wsman(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server_version, sys_version = 'Microsoft-HTTPAPI/2.0', ''

    def setup(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request.settimeout(120)
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.negotiation = authority.Negotiation()
        with lock:
            seen['connections'] += 1
            self.login = logins

    def log_message(self, *arguments):
        pass

    def reply(self, status, text='', headers=(), fault=None, reason=None):
        body = text.encode()
        self.send_response(status, reason)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        if status == 200 or text:
            self.send_header('Content-Type', 'application/soap+xml;charset=UTF-8')
        self.end_headers()
        if fault and fault.get('drop') == 'middle':
            self.wfile.write(body[:len(body) // 2])
            return self.cut()
        if fault and fault.get('slow_ms'):
            for at in range(0, len(body), max(1, len(body) // 20)):
                self.wfile.write(body[at:at + max(1, len(body) // 20)])
                self.wfile.flush()
                time.sleep(fault['slow_ms'] / 20000)
            return None
        self.wfile.write(body)
        return None

    def cut(self):
        self.close_connection = True
        self.wfile.flush()
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def do_POST(self):
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(length)
        if self.login != logins:
            self.negotiation, self.login = authority.Negotiation(), logins
        asked = self.negotiation.take(self.headers.get('Authorization'))
        if asked:
            with lock:
                seen['unauthorized'] += 1
            return self.reply(401, '', [('WWW-Authenticate', value) for value in asked.split(', ')])
        if self.path != '/wsman':
            return self.reply(404)
        if (self.headers.get('Content-Type') or '').lower() != 'application/soap+xml;charset=utf-8':
            return self.reply(415)
        return self.serve(body)

    def do_GET(self):
        self.reply(405)

    def serve(self, body):
        to = f'https://127.0.0.1:{self.server.server_port}/wsman'
        message, fault = None, None
        try:
            message = wsman.Message(body, to)
            fault = take_fault(message.key)
            with lock:
                seen['total'] += 1
                seen['calls'].append(message.key)
            if self.spoil(fault):
                return None
            with lock:
                action, text = services[self.server.index].answer(message, self.negotiation.user, fault)
            status = 200
        except wsman.Fault as error:
            if error.rejected:
                with lock:
                    seen['rejected'].append(f'{message.key if message else "?"}: {error}')
            action, text, status = f'{wsman.W}/fault', wsman.fault_body(error), 500
        if fault and fault.get('drop') == 'after':
            return self.cut()
        text = wsman.envelope(action, message.id if message else None, text)
        if fault and 'garbage' in fault:
            text = fault['garbage']
        if fault and fault.get('size'):
            text = text.replace('<s:Body>', '<s:Body>' + 'x' * fault['size'])
        return self.reply(status, text, fault=fault)

    def spoil(self, fault):
        """What happens before anything is done. True: it has been answered, or not."""
        if not fault:
            return False
        if fault.get('delay_ms'):
            time.sleep(fault['delay_ms'] / 1000)
        if fault.get('drop') == 'before':
            self.cut()
            return True
        if fault.get('logout'):  # the connection is nobody's again, as after a long pause
            self.negotiation = authority.Negotiation()
            self.reply(401, '', [('WWW-Authenticate', 'Negotiate'), ('WWW-Authenticate', 'NTLM')])
            return True
        if fault.get('status'):
            self.reply(fault['status'], '', [('Location', fault['location'])] if fault.get('location') else [],
                       reason=fault.get('reason'))
            return True
        return False


def describe(vm):
    return {'name': vm.name, 'guid': vm.guid, 'host': vm.host.name, 'state': vm.state, 'memory': vm.memory,
            'cpus': vm.cpus, 'processor': vm.processor, 'ram': vm.ram, 'settings': vm.settings,
            'snapshots': [one['ElementName'] for one in vm.snapshots],
            'resources': vm.resources, 'disks': [one['HostResource'][0] for one in vm.disks()]}


def put_vm(wish):
    """A VM of somebody else's, or a change to one."""
    host = hosts[wish.get('index', 0)]
    vm = next((one for one in host.vms.values() if one.guid == wish.get('guid')), None)
    if not vm:
        vm = VM(host, wish['name'], guid=wish.get('guid'))
        host.vms[vm.guid] = vm
    for name in ('name', 'state', 'services'):
        setattr(vm, name, wish.get(name, getattr(vm, name)))
    return describe(vm)


class Control(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def answer(self, out):
        text = json.dumps(out).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        global logins
        text = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        body = json.loads(text) if text else {}
        out = {}
        with lock:
            if self.path == '/fault':
                faults.append({'times': 1, **body})
            elif self.path == '/clear':
                faults.clear()
            elif self.path == '/settings':
                settings.update(SETTINGS if body.get('default') else body)
            elif self.path == '/vm':
                out = put_vm(body)
            elif self.path == '/file':
                hosts[0].files[body['path'].lower()] = File(body['path'])
            elif self.path == '/forget':
                for host in hosts:
                    host.vms.pop(body.get('guid'), None)
                    host.files.pop(body.get('path', '').lower(), None)
            elif self.path == '/expire':
                logins += 1
            elif self.path == '/die':
                os._exit(0)
        self.answer(out)

    def do_GET(self):
        path, _, name = self.path.partition('?')
        with lock:
            for host in hosts:
                host.tick()
            out = {
                '/calls': lambda: seen,
                '/ports': lambda: [server.server_port for server in servers],
                '/vms': lambda: [describe(vm) for host in hosts for vm in host.vms.values() if name in ('', vm.guid)],
                '/files': lambda: [file.path for host in hosts for file in host.files.values()],
                '/switches': lambda: [name for host in hosts for name in host.switches.values()],
                '/jobs': lambda: [{'what': job.what, 'state': job.state, 'error': job.error} for job in sorted(
                    (job for host in hosts for job in host.jobs.values()), key=lambda job: job.due)],
            }[path]()
        self.answer(out)


def start(handler, index=None, tls=None):
    server = Server(('127.0.0.1', 0), handler)
    server.index, server.tls = index, tls
    threading.Thread(target=server.serve_forever, kwargs={'poll_interval': 3600}, daemon=True).start()
    return server


parser = argparse.ArgumentParser()
parser.add_argument('--cert', required=True)
parser.add_argument('--key', required=True)
options = parser.parse_args()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(options.cert, options.key)
servers = [start(Wsman, index, context) for index in range(len(hosts))]
controller = start(Control)
print(f'listening {servers[0].server_port} {controller.server_port}', flush=True)
sys.stdin.buffer.read()
os._exit(0)
