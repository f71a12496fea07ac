# SPDX-License-Identifier: MIT
"""Who may do what, and how they prove it, once for each connection: NTLMv2 (MS-NLMP), checked by impacket, or
Negotiate with a Kerberos ticket, checked by MIT's GSSAPI where KRB5_KTNAME names the host's keys."""
import base64
import os
import struct
import time

from impacket import ntlm

USERS = {
    # the two groups that the man page names
    'bench': {'password': 'Correct-Horse-7!', 'domain': 'LAB', 'hyperv': True, 'cim': True},
    # lets itself in, and is no Hyper-V administrator
    'reader': {'password': 'Reader-Only-8!', 'domain': 'LAB', 'hyperv': False, 'cim': True},
    # may use Hyper-V, and not look at the rest of the host
    'blind': {'password': 'Blind-Folded-9!', 'domain': 'LAB', 'hyperv': True, 'cim': False},
}

UNICODE, TARGET, NTLM, SIGN, EXTENDED, TARGET_INFO, KEY_128, KEY_56 = \
    0x1, 0x4, 0x200, 0x8000, 0x80000, 0x800000, 0x20000000, 0x80000000


def _pair(kind, value):
    return struct.pack('<HH', kind, len(value)) + value


class Negotiation:
    """Of one connection. `user` is None until its proof was good."""

    def __init__(self):
        self.user, self.challenge, self.steps = None, None, 0

    def take(self, header):
        """The value of WWW-Authenticate to send with a 401, or None: let in."""
        if self.user:
            return None
        kind, _, text = (header or '').partition(' ')
        if kind == 'Negotiate' and 'KRB5_KTNAME' in os.environ:
            return self._ticket(text)
        if kind != 'NTLM':
            return 'Negotiate, NTLM'
        try:
            data = base64.b64decode(text, validate=True)
            number = struct.unpack('<L', data[8:12])[0] if data[:8] == b'NTLMSSP\0' else 0
            return self._first() if number == 1 else self._third(data) if number == 3 else 'NTLM'
        except Exception:  # whatever impacket makes of a message that is none
            self.challenge = None
            return 'NTLM'

    def _ticket(self, text):
        import gssapi
        try:
            context = gssapi.SecurityContext(usage='accept')
            context.step(base64.b64decode(text, validate=True))
            if context.complete:
                self.user = USERS.get(str(context.initiator_name).partition('@')[0])
        except (ValueError, gssapi.exceptions.GSSError):
            pass
        return None if self.user else 'Negotiate, NTLM'

    def _first(self):
        self.challenge = os.urandom(8)
        domain, name = 'LAB'.encode('utf-16le'), 'HV1'.encode('utf-16le')
        stamp = struct.pack('<q', 116444736000000000 + int(time.time() * 10000000))
        pairs = _pair(2, domain) + _pair(1, name) + _pair(7, stamp) + _pair(0, b'')
        message = ntlm.NTLMAuthChallenge()
        message['flags'] = UNICODE | TARGET | NTLM | SIGN | EXTENDED | TARGET_INFO | KEY_128 | KEY_56
        message['domain_len'] = message['domain_max_len'] = len(domain)
        message['domain_offset'] = 40 + 8 + 8
        message['challenge'] = self.challenge
        message['domain_name'] = domain
        message['TargetInfoFields_len'] = message['TargetInfoFields_max_len'] = len(pairs)
        message['TargetInfoFields'] = pairs
        message['TargetInfoFields_offset'] = 40 + 8 + 8 + len(domain)
        message['Version'] = b'\x0a\x00\x7c\x4f\x00\x00\x00\x0f'
        message['VersionLen'] = 8
        return 'NTLM ' + base64.b64encode(message.getData()).decode()

    def _third(self, data):
        challenge, self.challenge = self.challenge, None
        message = ntlm.NTLMAuthChallengeResponse()
        message.fromString(data)
        name = message['user_name'].decode('utf-16le')
        domain = message['domain_name'].decode('utf-16le')
        proof = message['ntlm']
        user = USERS.get(name.lower())
        # NTLMv1's response has 24 bytes; that is not let in
        if not challenge or not user or len(proof) <= 24 or domain.upper() not in ('', user['domain']):
            return 'NTLM'
        key = ntlm.NTOWFv2(name, user['password'], domain)
        if ntlm.hmac_md5(key, challenge + proof[16:]) != proof[:16]:
            return 'NTLM'
        self.user = user
        return None
