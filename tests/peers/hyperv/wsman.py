# SPDX-License-Identifier: MIT
"""WS-Management (DSP0226) with WMI's resources: reads and checks messages, writes answers and faults."""
import re
import uuid
import xml.etree.ElementTree as xml
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

import wql
from classes import CLASSES, HOST, VIRT
from host import STARTED, Job, Returned

S = 'http://www.w3.org/2003/05/soap-envelope'
A = 'http://schemas.xmlsoap.org/ws/2004/08/addressing'
W = 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd'
N = 'http://schemas.xmlsoap.org/ws/2004/09/enumeration'
T = 'http://schemas.xmlsoap.org/ws/2004/09/transfer'
F = 'http://schemas.microsoft.com/wbem/wsman/1/wsmanfault'
XSI = 'http://www.w3.org/2001/XMLSchema-instance'
CIM = 'http://schemas.dmtf.org/wbem/wscim/1/common'
WMI = 'http://schemas.microsoft.com/wbem/wsman/1/wmi/'
ANYBODY = A + '/role/anonymous'
SPACES = {VIRT, HOST}


class Fault(Exception):
    def __init__(self, subcode, text, code=0, sender=True, rejected=True):
        super().__init__(text)
        self.subcode, self.code, self.sender, self.rejected = subcode, code, sender, rejected


def bad(text):
    return Fault('w:SchemaValidationError', text, 2150858817)


# --- reading --------------------------------------------------------------------------------------

class Message:
    """action, resource, space, class_name, selectors, body, id, key (what faults are injected by)."""

    known = {f'{{{A}}}To', f'{{{W}}}ResourceURI', f'{{{A}}}ReplyTo', f'{{{A}}}Action', f'{{{W}}}MaxEnvelopeSize',
             f'{{{A}}}MessageID', f'{{{W}}}OperationTimeout', f'{{{W}}}SelectorSet', f'{{{W}}}Locale'}

    def __init__(self, text, to):
        try:
            envelope = xml.fromstring(text)
        except xml.ParseError as error:
            raise bad(f'no XML: {error}') from None
        if envelope.tag != f'{{{S}}}Envelope' or [one.tag for one in envelope] != [f'{{{S}}}Header', f'{{{S}}}Body']:
            raise bad('no SOAP 1.2 envelope of a header and a body')
        header, body = envelope
        self.id = None
        self.header(header, to)
        if len(body) > 1:
            raise bad('a body of more than one element')
        self.body = body[0] if len(body) else None
        self.read_resource()

    def one(self, header, name):
        found = header.findall(name)
        if len(found) != 1:
            raise Fault('a:MessageInformationHeaderRequired', f'{len(found)} of {name} instead of one')
        return found[0]

    def header(self, header, to):
        self.id = (self.one(header, f'{{{A}}}MessageID').text or '').strip()
        for one in header:
            if one.tag not in self.known:
                raise Fault('s:MustUnderstand', f'{one.tag} is not understood')
        if not re.match(r'uuid:[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}\Z', self.id):
            raise bad(f'MessageID {self.id!r}')
        # the name may be another on the way (port forwarding, a relay), and WinRM does not look at it
        if urlsplit(self.one(header, f'{{{A}}}To').text)[2:] != urlsplit(to)[2:]:
            raise Fault('a:DestinationUnreachable', f"To is {self.one(header, f'{{{A}}}To').text!r}, not {to}", 2150858754)
        if self.one(header, f'{{{A}}}ReplyTo').findtext(f'{{{A}}}Address') != ANYBODY:
            raise bad('ReplyTo')
        if not 8192 <= int(self.one(header, f'{{{W}}}MaxEnvelopeSize').text) <= 1 << 20:
            raise bad('MaxEnvelopeSize')
        if not re.match(r'PT[1-9]\d*\.\d{3}S\Z', self.one(header, f'{{{W}}}OperationTimeout').text):
            raise bad('OperationTimeout')
        for name in (f'{{{W}}}ResourceURI', f'{{{A}}}Action', f'{{{W}}}MaxEnvelopeSize'):
            if self.one(header, name).get(f'{{{S}}}mustUnderstand') not in ('true', '1'):
                raise bad(f'{name} without mustUnderstand')
        self.resource = self.one(header, f'{{{W}}}ResourceURI').text
        self.action = self.one(header, f'{{{A}}}Action').text
        self.selectors = read_selectors(header.find(f'{{{W}}}SelectorSet'))

    def read_resource(self):
        match = re.match(re.escape(WMI) + r'(root/[\w/]+)/(\w+|\*)\Z', self.resource or '')
        if not match or match[1] not in SPACES:
            raise Fault('a:DestinationUnreachable', f'no such resource: {self.resource}', 2150858752)
        self.space, self.class_name = match[1], match[2]
        if self.class_name != '*' and (self.class_name not in CLASSES or CLASSES[self.class_name].space != self.space):
            raise Fault('a:DestinationUnreachable', f'no class {self.class_name} in {self.space}', 2150859002)
        self.method = None
        if self.action == f'{N}/Enumerate' or self.action == f'{N}/Pull':
            self.kind = self.action.rsplit('/', 1)[1]
            self.key = self.kind
            if self.class_name != '*' or self.selectors:
                raise bad('WQL needs the resource …/* and no selectors')
            if self.kind == 'Enumerate':
                match = re.search(r'(?:from|resultclass\s*=)\s*(\w+)', self.body.findtext(f'{{{W}}}Filter') or '', re.I)
                self.key = f'Enumerate {match[1] if match else "?"}'
        elif self.action == f'{T}/Get':
            self.kind, self.key = 'Get', f'Get {self.class_name}'
        elif self.action.startswith(self.resource + '/'):
            self.kind, self.method = 'Invoke', self.action[len(self.resource) + 1:]
            self.key = f'Invoke {self.class_name}.{self.method}'
            if self.class_name == '*' or self.method not in CLASSES[self.class_name].methods:
                raise Fault('w:ActionNotSupported', f'{self.class_name} has no method {self.method}', 2150859000)
        else:
            raise Fault('w:ActionNotSupported', f'no action {self.action}', 2150858761)


def read_selectors(element):
    out = {}
    for one in element if element is not None else ():
        if one.tag != f'{{{W}}}Selector' or not one.get('Name') or one.get('Name') in out:
            raise bad('a selector')
        out[one.get('Name')] = one.text or ''
    return out


def check_keys(class_name, selectors):
    if set(selectors) != set(CLASSES[class_name].keys):
        raise Fault('w:InvalidSelectors', f'{class_name} is selected by {CLASSES[class_name].keys}, not {tuple(selectors)}',
                    2150858843)
    return selectors


def read_reference(element, wanted):
    if element.findtext(f'{{{A}}}Address') != ANYBODY:
        raise bad('a reference without its address')
    parameters = element.find(f'{{{A}}}ReferenceParameters')
    uri = parameters.findtext(f'{{{W}}}ResourceURI') if parameters is not None else None
    if uri != f'{WMI}{VIRT}/{wanted}':
        raise bad(f'a reference to {uri}, not to {wanted}')
    return check_keys(wanted, read_selectors(parameters.find(f'{{{W}}}SelectorSet')))


def read_value(kind, text, what):
    text = text or ''
    if kind == 'boolean':
        if text.lower() not in ('true', 'false'):
            raise bad(f'{what}: {text!r} is no boolean')
        return text.lower() == 'true'
    match = re.match(r'uint(\d+)', kind)
    if match:
        if not re.match(r'\d+\Z', text) or int(text) >= 1 << int(match[1]):
            raise bad(f'{what}: {text!r} is no {kind}')
        return int(text)
    return text


def read_instance(element, wanted, what):
    if len(element):
        raise bad(f'{what}: an embedded instance is CIM-XML as text')
    try:
        instance = xml.fromstring(element.text or '')
    except xml.ParseError as error:
        raise bad(f'{what}: no CIM-XML: {error}') from None
    class_name = instance.get('CLASSNAME')
    if instance.tag != 'INSTANCE' or class_name not in CLASSES or wanted not in ('*', class_name):
        raise bad(f'{what}: an instance of {class_name}, not of {wanted}')
    out = {'class': class_name}
    for one in instance:
        name, kind = one.get('NAME'), one.get('TYPE')
        declared = CLASSES[class_name].properties.get(name)
        if declared is None:
            raise bad(f'{what}: {class_name} has no property {name}')
        if one.tag != ('PROPERTY.ARRAY' if declared.endswith('[]') else 'PROPERTY') or kind != declared.rstrip('[]'):
            raise bad(f'{what}: {name} is {declared}, not {one.tag} of {kind}')
        values = one.findall('VALUE.ARRAY/VALUE' if declared.endswith('[]') else 'VALUE')
        values = [read_value(kind, value.text, name) for value in values]
        out[name] = values if declared.endswith('[]') else values[0]
    return out


def read_parameters(message):
    method = CLASSES[message.class_name].methods[message.method]
    body, space = message.body, message.resource
    if body is None or body.tag != f'{{{space}}}{message.method}_INPUT':
        raise bad(f'the body of {message.method}')
    given = {}
    for one in body:
        name = one.tag[len(space) + 2:] if one.tag.startswith(f'{{{space}}}') else None
        kind = method['in'].get(name)
        if kind is None:
            raise Fault('w:InvalidParameter', f'{message.method} has no parameter {one.tag}', 2150859174)
        kind, _, wanted = kind.partition(' ')
        value = read_reference(one, wanted) if kind.startswith('ref') else \
            read_instance(one, wanted, name) if kind.startswith('inst') else \
            read_value(kind, one.text, name)
        if kind.endswith('[]'):
            given.setdefault(name, []).append(value)
        elif name in given:
            raise bad(f'{name} twice')
        else:
            given[name] = value
    for name in method['need']:
        if name not in given:
            raise Fault('w:InvalidParameter', f'{message.method} needs {name}', 2150859174)
    return given


# --- writing --------------------------------------------------------------------------------------

def envelope(action, about, body):
    return (f'<s:Envelope xml:lang="en-US" xmlns:s="{S}" xmlns:a="{A}" xmlns:n="{N}" xmlns:w="{W}" xmlns:xsi="{XSI}">'
            f'<s:Header><a:Action>{escape(action)}</a:Action><a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>'
            f'<a:To>{ANYBODY}</a:To>{f"<a:RelatesTo>{escape(about)}</a:RelatesTo>" if about else ""}</s:Header>'
            f'<s:Body>{body}</s:Body></s:Envelope>')


def fault_body(fault):
    code = f' Code="{fault.code}"' if fault.code else ''
    return (f'<s:Fault><s:Code><s:Value>s:{"Sender" if fault.sender else "Receiver"}</s:Value><s:Subcode><s:Value>'
            f'{fault.subcode}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">{escape(str(fault))}</s:Text>'
            f'</s:Reason><s:Detail><f:WSManFault xmlns:f="{F}"{code} Machine="hv1"><f:Message>{escape(str(fault))}'
            f'</f:Message></f:WSManFault></s:Detail></s:Fault>')


def plain(value):
    return str(value).lower() if isinstance(value, bool) else escape(str(value))


def write_instance(class_name, instance, space, tag=None):
    uri = f'{WMI}{space}/{class_name}'
    out = []
    for name, kind in CLASSES[class_name].properties.items():
        value = instance.get(name)
        if value is None or value == []:
            out.append(f'<p:{name} xsi:nil="true"/>')
        elif kind == 'datetime':
            out.append(f'<p:{name}><cim:Datetime xmlns:cim="{CIM}">{plain(value)}</cim:Datetime></p:{name}>')
        else:
            out += [f'<p:{name}>{plain(one)}</p:{name}>' for one in (value if isinstance(value, list) else [value])]
    return f'<p:{tag or class_name} xmlns:p="{uri}" xsi:type="p:{class_name}_Type">{"".join(out)}</p:{tag or class_name}>'


def write_cim_xml(class_name, instance):
    out = [f'<PROPERTY NAME="{name}" TYPE="{kind}"><VALUE>{plain(instance[name])}</VALUE></PROPERTY>'
           for name, kind in CLASSES[class_name].properties.items() if instance.get(name) is not None]
    return f'<INSTANCE CLASSNAME={quoteattr(class_name)}>{"".join(out)}</INSTANCE>'


def write_reference(name, class_name, selectors):
    keys = ''.join(f'<w:Selector Name="{key}">{escape(value)}</w:Selector>' for key, value in selectors.items())
    return (f'<p:{name}><a:Address>{ANYBODY}</a:Address><a:ReferenceParameters><w:ResourceURI>{WMI}{VIRT}/{class_name}'
            f'</w:ResourceURI><w:SelectorSet>{keys}<w:Selector Name="__cimnamespace">{VIRT}</w:Selector></w:SelectorSet>'
            f'</a:ReferenceParameters></p:{name}>')


def write_output(message, output, number, settings):
    parts = []
    for name, value in output.items():
        if isinstance(value, Job):
            parts.append(write_reference(name, value.class_name, {'InstanceID': value.id}))
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict) and settings['cimXml']:
                parts.append(f"<p:{name}>{escape(write_cim_xml(one['class'], one))}</p:{name}>")
            elif isinstance(one, dict):
                parts.append(write_instance(one['class'], one, VIRT, name))
            else:
                keys = {'CreationClassName': one[0], 'Name': one[1]} if one[0] == 'Msvm_ComputerSystem' \
                    else {'InstanceID': one[1]}
                parts.append(write_reference(name, one[0], keys))
    tag = f'p:{message.method}_OUTPUT'
    return f'<{tag} xmlns:p="{message.resource}">{"".join(parts)}<p:ReturnValue>{number}</p:ReturnValue></{tag}>'


# --- carrying out ---------------------------------------------------------------------------------

class Service:
    """One host's: knows the enumerations that are open."""

    def __init__(self, host, settings):
        self.host, self.settings, self.contexts = host, settings, {}

    def answer(self, message, user, fault):
        """(action, body)"""
        self.host.tick()
        if message.space == HOST and not user['cim']:
            raise Fault('w:AccessDenied', 'Access is denied. ', 5, rejected=False)
        if fault and fault.get('fault'):
            raise Fault(fault['fault'], fault.get('text', 'injected'), fault.get('code', 0), rejected=False)
        return getattr(self, message.kind.lower())(message, user, fault)

    def enumerate(self, message, user, fault):
        body = message.body
        if body is None or body.tag != f'{{{N}}}Enumerate':
            raise bad('the body of Enumerate')
        query = body.find(f'{{{W}}}Filter')
        if query is None or query.get('Dialect') != 'http://schemas.microsoft.com/wbem/wsman/1/WQL':
            raise Fault('w:FilteringNotSupported', 'only WQL')
        if body.find(f'{{{W}}}OptimizeEnumeration') is None:
            raise bad('this peer answers optimized enumerations only')
        try:
            parsed = wql.Query(query.text or '')
        except wql.Bad as error:
            raise Fault('n:CannotProcessFilter', f'WQL: {error} in {query.text!r}', 2147749911) from None
        except KeyError as error:
            raise Fault('w:InvalidParameter', f'no class {error}', 2147749904) from None
        if CLASSES[parsed.class_name].space != message.space:
            raise Fault('w:InvalidParameter', f'no class {parsed.class_name} in {message.space}', 2147749904)
        if parsed.class_name == 'CIM_DataFile' and not parsed.filtered:
            raise Fault('w:QuotaLimit', 'all files of all drives', 2150859174)
        if parsed.source:
            found = self.host.associated(parsed.source, parsed.association, parsed.class_name)
        else:
            found = [one for one in self.host.instances(parsed.class_name, user) if parsed.matches(one)]
        items = [write_instance(parsed.class_name, one, message.space) for one in found]
        limit = int(body.findtext(f'{{{W}}}MaxElements'))
        return f'{N}/EnumerateResponse', self.page(message, items, limit, 'Enumerate')

    def pull(self, message, user, fault):
        if message.body is None or message.body.tag != f'{{{N}}}Pull':
            raise bad('the body of Pull')
        name = message.body.findtext(f'{{{N}}}EnumerationContext')
        if name not in self.contexts:
            raise Fault('n:InvalidEnumerationContext', 'there is no such enumeration', 2150858757, rejected=False)
        limit = int(message.body.findtext(f'{{{N}}}MaxElements'))
        return f'{N}/PullResponse', self.page(message, self.contexts.pop(name), limit, 'Pull')

    def page(self, message, items, limit, kind):
        now, later = items[:min(limit, self.settings['page'])], items[min(limit, self.settings['page']):]
        prefix = 'w' if kind == 'Enumerate' else 'n'
        out = f'<{prefix}:Items>{"".join(now)}</{prefix}:Items>'
        if later:
            name = f'uuid:{str(uuid.uuid4()).upper()}'
            self.contexts[name] = later
            out = f'<n:EnumerationContext>{name}</n:EnumerationContext>{out}'
        else:
            out = f'<n:EnumerationContext/>{out}<{prefix}:EndOfSequence/>'
        return f'<n:{kind}Response>{out}</n:{kind}Response>'

    def find(self, message, user):
        check_keys(message.class_name, message.selectors)
        for one in self.host.instances(message.class_name, user):
            if all(str(one.get(key)).lower() == value.lower() for key, value in message.selectors.items()):
                return one
        raise Fault('w:InvalidSelectors', f'there is no such {message.class_name}', 2150858843, rejected=False)

    def get(self, message, user, fault):
        one = self.find(message, user)
        return f'{T}/GetResponse', write_instance(message.class_name, one, message.space)

    def invoke(self, message, user, fault):
        self.find(message, user)
        given = read_parameters(message)
        try:
            output = self.host.call(message.class_name, message.method, message.selectors, given, fault)
            number = STARTED if 'Job' in output else 0
        except Returned as returned:
            output, number = {}, returned.number
        return f'{message.resource}/{message.method}Response', write_output(message, output, number, self.settings)
