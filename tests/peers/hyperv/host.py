# SPDX-License-Identifier: MIT
"""A Hyper-V host in memory: VMs, their settings and checkpoints, disks as files, switches, jobs.

Nothing runs here and nothing takes time but what `settings` says. States, and what is refused in which,
as the reference of the classes documents it.
"""
import re
import time
import uuid

from classes import CLASSES, VIRT

RUNNING, OFF, SAVED, PAUSED = 2, 3, 6, 9
FAILED, DENIED, NOT_SUPPORTED, BAD_PARAMETER, IN_USE, BAD_STATE, NO_FILE = \
    32768, 32769, 32770, 32773, 32774, 32775, 32779
STARTED = 4096
SCSI = 'Microsoft:Hyper-V:Synthetic SCSI Controller'
IDE = 'Microsoft:Hyper-V:Emulated IDE Controller'
DRIVE = 'Microsoft:Hyper-V:Synthetic Disk Drive'
DISK = 'Microsoft:Hyper-V:Virtual Hard Disk'
CARD = 'Microsoft:Hyper-V:Synthetic Ethernet Port'
CONNECTION = 'Microsoft:Hyper-V:Ethernet Connection'
REALIZED = 'Microsoft:Hyper-V:System:Realized'
SNAPSHOT = 'Microsoft:Hyper-V:Snapshot:Realized'
RESOURCES = {  # subtype: class, ResourceType, subtype of its parent
    SCSI: ('Msvm_ResourceAllocationSettingData', 6, None),
    DRIVE: ('Msvm_ResourceAllocationSettingData', 17, (SCSI, IDE)),
    DISK: ('Msvm_StorageAllocationSettingData', 31, (DRIVE,)),
    CARD: ('Msvm_SyntheticEthernetPortSettingData', 10, None),
    CONNECTION: ('Msvm_EthernetPortAllocationSettingData', 33, (CARD,)),
}


class Returned(Exception):
    """A method's ReturnValue that is not 0."""

    def __init__(self, number, why=''):
        super().__init__(why)
        self.number, self.why = number, why


class Failure(Exception):
    """Why a job fails."""

    def __init__(self, text, code=FAILED):
        super().__init__(text)
        self.code = code


def guid():
    return str(uuid.uuid4()).upper()


class File:
    def __init__(self, path, size=0, parent=None):
        self.path, self.size, self.parent, self.busy_until = path, size, parent, 0

    def instance(self):
        drive, rest = self.path[:2], self.path[2:]
        directory, name = rest[:rest.rindex('\\') + 1], rest[rest.rindex('\\') + 1:]
        stem, extension = name.rsplit('.', 1)
        return {'Name': self.path.lower(), 'Drive': drive.lower(), 'Path': directory.lower(),
                'FileName': stem, 'Extension': extension, 'FileSize': self.size}


class Job:
    def __init__(self, class_name, what, seconds, end, affected=(), undo=None):
        self.id, self.class_name, self.what = guid(), class_name, what
        self.state, self.end, self.undo, self.affected = 4, end, undo, list(affected)
        self.due = time.monotonic() + seconds
        self.error, self.code = '', 0
        self.held = False

    def instance(self):
        return {'InstanceID': self.id, 'Caption': self.what, 'Name': 'Msvm_ConcreteJob', 'JobState': self.state,
                'PercentComplete': 100 if self.state == 7 else 50, 'ErrorCode': self.code,
                'ErrorDescription': self.error or None, 'ErrorSummaryDescription': self.error or None,
                'Cancellable': True, 'DeleteOnCompletion': False}


class VM:
    def __init__(self, host, name, **more):
        self.host, self.name, self.guid = host, name, more.pop('guid', None) or guid()
        self.state, self.job, self.booted, self.off_at, self.run_ns = OFF, None, 0, 0, 0
        self.settings = {'VirtualSystemSubType': 'Microsoft:Hyper-V:SubType:1', 'UserSnapshotType': 3}
        self.snapshots = []
        self.resources = []
        self.processor = {'VirtualQuantity': 1, 'Reservation': 0, 'Limit': 100000, 'Weight': 100,
                          'MaxProcessorsPerNumaNode': 64, 'ExposeVirtualizationExtensions': False}
        self.ram = {'VirtualQuantity': 1024, 'Reservation': 512, 'Limit': 1048576, 'Weight': 5000,
                    'DynamicMemoryEnabled': False}
        self.settings.update(more)
        self.services = True

    @property
    def memory(self):
        return self.ram['VirtualQuantity']

    @property
    def cpus(self):
        return self.processor['VirtualQuantity']

    def id(self, *parts):
        return '\\'.join([f'Microsoft:{self.guid}', *parts])

    def beats(self):
        return self.state == RUNNING and self.services and \
            time.monotonic() - self.booted >= self.host.settings['guestMs'] / 1000

    def disks(self):
        return [one for one in self.resources if one['ResourceSubType'] == DISK]

    def find(self, instance_id):
        return next((one for one in self.resources if one['InstanceID'].lower() == instance_id.lower()), None)

    def instance(self):
        return {'CreationClassName': 'Msvm_ComputerSystem', 'Name': self.guid, 'ElementName': self.name,
                'Caption': 'Virtual Machine', 'Description': 'Microsoft Virtual Machine',
                'EnabledState': self.state, 'RequestedState': 12, 'HealthState': 5, 'OperationalStatus': [2],
                'InstallDate': '2026-01-01T00:00:00Z', 'OnTimeInMilliseconds': 0, 'NumberOfNumaNodes': 1}

    def setting(self):
        return {**self.settings, 'InstanceID': self.id(), 'Caption': 'Virtual Machine Settings',
                'ElementName': self.name, 'VirtualSystemIdentifier': self.guid, 'VirtualSystemType': REALIZED}

    def component(self, class_name, status):
        return {'CreationClassName': class_name, 'DeviceID': self.id(class_name), 'Name': class_name,
                'SystemCreationClassName': 'Msvm_ComputerSystem', 'SystemName': self.guid,
                'OperationalStatus': [status], 'EnabledState': 2}

    def ended(self):
        self.run_ns += int((time.monotonic() - self.booted) * 1e9) if self.state == RUNNING else 0


class Host:
    def __init__(self, name, settings, others):
        self.name, self.settings, self.others = name, settings, others
        self.vms, self.switches, self.jobs, self.files = {}, {}, {}, {}
        self.directories = {'c:\\vms\\disks\\', 'd:\\bench\\', 'c:\\templates\\'}
        self.add_file('C:\\templates\\debian12.vhdx', 2 << 30)
        self.switches[guid()] = 'lan'

    # --- small things -----------------------------------------------------------------------------

    def add_file(self, path, size=0, parent=None):
        if not re.match(r'[A-Za-z]:\\[^<>:"/|?*\x00-\x1f]+\.[A-Za-z]+\Z', path):
            raise Failure(f"The filename, directory name, or volume label syntax is incorrect: '{path}' (0x8007007B)")
        if path[:path.rindex('\\') + 1].lower() not in self.directories:
            raise Failure(f"The system cannot find the path specified: '{path}' (0x80070003)")
        if path.lower() in self.files:
            raise Failure(f"Failed to create the virtual hard disk. The system failed to create '{path}': The file "
                          'exists. (0x80070050)')
        self.files[path.lower()] = File(path, size, parent)

    def file(self, path):
        return self.files.get(path.lower())

    def need_file(self, path):
        if not self.file(path):
            raise Failure(f"The system cannot find the file specified: '{path}' (0x80070002)", NO_FILE)
        return self.file(path)

    def vm_by_setting(self, instance_id):
        return next((vm for vm in self.vms.values() if vm.id().lower() == instance_id.lower()), None)

    def snapshot_by_id(self, instance_id):
        for vm in self.vms.values():
            for one in vm.snapshots:
                if one['InstanceID'].lower() == instance_id.lower():
                    return vm, one
        return None, None

    def holds(self, path):
        """Does something have the file open: a VM that runs, a merge, a VM whose disk is linked to it?"""
        file = self.file(path)
        if file.busy_until > time.monotonic():
            return True
        chain = set()
        for vm in self.vms.values():
            if vm.state in (RUNNING, PAUSED):
                for disk in vm.disks():
                    at = disk['HostResource'][0].lower()
                    while at:
                        chain.add(at)
                        at = (self.files[at].parent or '').lower() if at in self.files else None
        return path.lower() in chain

    # --- jobs -------------------------------------------------------------------------------------

    def start(self, what, end, vm=None, class_name='Msvm_ConcreteJob', affected=(), undo=None, fault=None):
        job = Job(class_name, what, self.settings['jobMs'] / 1000, end, affected, undo)
        if fault and fault.get('job'):
            job.fail = Failure(fault['job'], fault.get('code', FAILED))
            job.end = lambda: (_ for _ in ()).throw(job.fail)
        job.held = bool(fault and fault.get('hang'))
        self.jobs[job.id] = job
        if vm:
            vm.job = job
            job.vm = vm
        return job

    def tick(self):
        now = time.monotonic()
        for job in [one for one in self.jobs.values() if one.state == 4 and one.due <= now and not one.held]:
            try:
                job.end()
                job.state = 7
            except Failure as failure:
                job.state, job.error, job.code = 10, str(failure), failure.code
            self.free(job)
        for vm in self.vms.values():
            if vm.off_at and vm.off_at <= now:
                vm.ended()
                vm.off_at, vm.state = 0, OFF

    def free(self, job):
        if getattr(job, 'vm', None) and job.vm.job is job:
            job.vm.job = None

    # --- what there is ----------------------------------------------------------------------------

    def instances(self, class_name, user):
        hidden = CLASSES[class_name].space == VIRT and not user['hyperv']
        if hidden and not class_name.startswith('Msvm_VirtualSystemManagementServiceS'):
            return []
        maker = getattr(self, 'all_' + class_name, None)
        if maker:
            return list(maker())
        if class_name.endswith('Service'):
            return [{'CreationClassName': class_name, 'Name': 'vmms' if 'System' in class_name else 'vhdsvc',
                     'ElementName': class_name, 'SystemCreationClassName': 'Msvm_ComputerSystem',
                     'SystemName': self.name, 'Started': True}]
        if class_name.endswith('Job'):
            return [job.instance() for job in self.jobs.values() if job.class_name == class_name]
        return [one for vm in self.vms.values() for one in vm.resources if one['class'] == class_name]

    def all_Msvm_ComputerSystem(self):
        yield {'CreationClassName': 'Msvm_ComputerSystem', 'Name': self.name, 'ElementName': self.name,
               'Caption': 'Hosting Computer System', 'Description': 'Microsoft Hosting Computer System',
               'EnabledState': 2, 'HealthState': 5, 'OperationalStatus': [2]}
        for vm in self.vms.values():
            yield vm.instance()

    def all_Msvm_VirtualSystemSettingData(self):
        for vm in self.vms.values():
            yield vm.setting()
            yield from vm.snapshots

    def all_Msvm_ProcessorSettingData(self):
        for vm in self.vms.values():
            yield {'InstanceID': vm.id('b637f346-6a0e-4dec-af52-bd70cb80a21d', '0'), 'ResourceType': 3,
                   'ResourceSubType': 'Microsoft:Hyper-V:Processor', **vm.processor}

    def all_Msvm_MemorySettingData(self):
        for vm in self.vms.values():
            yield {'InstanceID': vm.id('4764334d-e001-4176-82ee-5594ec9b530e'), 'ResourceType': 4,
                   'ResourceSubType': 'Microsoft:Hyper-V:Memory', 'AllocationUnits': 'byte * 2^20', **vm.ram}

    def all_Msvm_HeartbeatComponent(self):
        for vm in self.vms.values():
            if vm.state in (RUNNING, PAUSED):
                yield vm.component('Msvm_HeartbeatComponent', 2 if vm.beats() else 12)

    def all_Msvm_ShutdownComponent(self):
        for vm in self.vms.values():
            if vm.beats():
                yield vm.component('Msvm_ShutdownComponent', 2)

    def all_Msvm_GuestNetworkAdapterConfiguration(self):
        for number, vm in enumerate(self.vms.values()):
            for card in (one for one in vm.resources if one['ResourceSubType'] == CARD):
                yield {'InstanceID': f"Microsoft:GuestNetwork\\{vm.guid}\\{card['InstanceID'].split(chr(92))[1]}",
                       'DHCPEnabled': True,
                       'IPAddresses': ['fe80::1', self.settings['address'] or f'192.0.2.{number % 250 + 1}']
                       if vm.beats() else []}

    def all_Msvm_VirtualEthernetSwitch(self):
        for key, name in self.switches.items():
            yield {'CreationClassName': 'Msvm_VirtualEthernetSwitch', 'Name': key, 'ElementName': name}

    def all_Msvm_VirtualSystemManagementServiceSettingData(self):
        yield {'InstanceID': f'Microsoft:{self.name}', 'DefaultExternalDataRoot': 'C:\\VMs',
               'DefaultVirtualHardDiskPath': self.settings['diskPath']}

    def all_Msvm_VirtualSystemMigrationServiceSettingData(self):
        yield {'InstanceID': f'Microsoft:{self.name}', 'EnableVirtualSystemMigration': self.settings['migrates'],
               'AuthenticationType': 1}

    def all_Win32_OperatingSystem(self):
        yield {'Name': 'Windows', 'Caption': 'Microsoft Windows Server 2022 Datacenter', 'Version': '10.0.20348',
               'BuildNumber': '20348'}

    def all_Win32_ComputerSystem(self):
        yield {'Name': self.name, 'DNSHostName': self.name.lower(), 'Domain': 'lab.example', 'PartOfDomain': True}

    def all_CIM_DataFile(self):
        for file in self.files.values():
            yield file.instance()

    def all_Win32_PerfRawData_HvStats_HyperVHypervisorVirtualProcessor(self):
        for vm in self.vms.values():
            if vm.state in (RUNNING, PAUSED):
                for index in range(vm.cpus):
                    spent = vm.run_ns + (int((time.monotonic() - vm.booted) * 1e9) if vm.state == RUNNING else 0)
                    yield {'Name': f'{vm.name}:Hv VP {index}', 'PercentTotalRunTime': spent // 100,
                           'PercentGuestRunTime': spent // 110, 'Timestamp_Sys100NS': time.time_ns() // 100}

    def associated(self, source, association, class_name):
        job = self.jobs.get(source[2])
        if association != 'Msvm_AffectedJobElement' or not job:
            return []
        wanted = [one.lower() for one in job.affected]
        return [one for one in self.all_Msvm_VirtualSystemSettingData() if one['InstanceID'].lower() in wanted] \
            if class_name == 'Msvm_VirtualSystemSettingData' else \
            [one for one in self.all_Msvm_ComputerSystem() if one['Name'].lower() in wanted]

    # --- methods: (self, selectors, parameters, fault) → output; Job and references as objects -----

    def call(self, class_name, method, key, given, fault):
        if fault and 'returns' in fault:
            raise Returned(fault['returns'], 'injected')
        name = {'Msvm_ConcreteJob': 'job', 'Msvm_StorageJob': 'job', 'Msvm_MigrationJob': 'job'}.get(class_name, class_name)
        return getattr(self, f'{name}_{method}')(key, given, fault)

    def need_vm(self, reference):
        vm = self.vms.get(reference['Name'].upper())
        if not vm:
            raise Returned(BAD_PARAMETER, 'no such VM')
        return vm

    def need_idle(self, vm, *states):
        if vm.job or (states and vm.state not in states):
            raise Returned(BAD_STATE, f'{vm.name} is in state {vm.state}{", and something is going on" if vm.job else ""}')

    def Msvm_ComputerSystem_RequestStateChange(self, key, given, fault):
        vm = self.need_vm(key)
        wanted = given['RequestedState']
        allowed = {2: (OFF, SAVED, PAUSED), 3: (RUNNING, PAUSED), 6: (RUNNING, PAUSED), 9: (RUNNING,),
                   10: (RUNNING,), 11: (RUNNING, PAUSED)}
        if wanted not in allowed:
            raise Returned(BAD_PARAMETER, 'RequestedState')
        self.need_idle(vm, *allowed[wanted])
        return {'Job': self.start('RequestStateChange', lambda: self.become(vm, wanted), vm, fault=fault)}

    def become(self, vm, wanted):
        if wanted in (2, 11) and vm.state != PAUSED or wanted == 11:
            for disk in vm.disks():
                if not self.file(disk['HostResource'][0]):
                    raise Failure(f"'{vm.name}' failed to start. Attachment '{disk['HostResource'][0]}' not found. "
                                  'The system cannot find the file specified. (0x80070002)', NO_FILE)
            vm.booted = time.monotonic()
        elif wanted == 2:
            vm.booted = time.monotonic() - 1000
        vm.ended()
        vm.off_at = 0
        vm.state = {11: RUNNING, 10: RUNNING}.get(wanted, wanted)

    def job_RequestStateChange(self, key, given, fault):
        job = self.jobs.get(key['InstanceID'])
        if not job or job.state != 4 or given['RequestedState'] not in (4, 5):
            raise Returned(BAD_STATE, 'no such job, or it has ended')
        job.state, job.error = 8, 'The operation was cancelled.'
        if job.undo:
            job.undo()
        self.free(job)
        return {}

    def Msvm_ShutdownComponent_InitiateShutdown(self, key, given, fault):
        vm = self.need_vm({'Name': key['SystemName']})
        if not vm.beats():
            raise Returned(BAD_STATE, 'the guest is not there')
        if not self.settings['deaf']:
            vm.off_at = time.monotonic() + self.settings['shutdownMs'] / 1000
        return {}

    def Msvm_VirtualSystemManagementService_DefineSystem(self, key, given, fault):
        wanted = given['SystemSettings']
        vm = VM(self, wanted.get('ElementName') or 'New Virtual Machine')
        vm.settings.update({k: v for k, v in wanted.items() if k not in ('class', 'ElementName')})
        if vm.settings['VirtualSystemSubType'] not in ('Microsoft:Hyper-V:SubType:1', 'Microsoft:Hyper-V:SubType:2'):
            raise Returned(BAD_PARAMETER, 'VirtualSystemSubType')
        if vm.settings['VirtualSystemSubType'].endswith('1'):
            if 'SecureBootEnabled' in wanted:
                raise Returned(BAD_PARAMETER, 'SecureBootEnabled of generation 1')
            for number in (0, 1):
                vm.resources.append({'class': 'Msvm_ResourceAllocationSettingData', 'ResourceType': 5,
                    'InstanceID': vm.id('83F8638B-8DCA-4152-9EDA-2CA8B33039B4', str(number)),
                    'ResourceSubType': IDE, 'Address': str(number)})
        if self.settings['jobs'] == 'always' or fault:
            def end():
                self.vms[vm.guid] = vm
            return {'Job': self.start('DefineSystem', end, affected=[vm.guid], fault=fault)}
        self.vms[vm.guid] = vm
        return {'ResultingSystem': ('Msvm_ComputerSystem', vm.guid)}

    def Msvm_VirtualSystemManagementService_DestroySystem(self, key, given, fault):
        vm = self.need_vm(given['AffectedSystem'])
        self.need_idle(vm, OFF, SAVED)

        def end():
            del self.vms[vm.guid]
            for snapshot in vm.snapshots:  # checkpoints are merged into the disk
                self.files.pop(snapshot['disk'], None)
            for file in self.files.values():
                if vm.snapshots and file.path.lower().endswith(f'\\{vm.name.lower()}.vhdx'):
                    file.busy_until = time.monotonic() + self.settings['jobMs'] / 1000
            vm.snapshots = []
        return {'Job': self.start('DestroySystem', end, vm, fault=fault)}

    def check_resource(self, vm, wanted):
        class_name, kind, parents = RESOURCES.get(wanted.get('ResourceSubType'), (None, None, None))
        if class_name != wanted['class'] or kind != wanted.get('ResourceType'):
            raise Returned(BAD_PARAMETER, 'ResourceType, ResourceSubType and class do not belong together')
        if parents:
            match = re.match(r'\\\\' + re.escape(self.name) + r'\\root\\virtualization\\v2:(\w+)\.InstanceID="(.*)"\Z',
                             wanted.get('Parent') or '', re.I)
            parent = match and vm.find(match[2].replace('\\\\', '\\'))
            if not parent or parent['class'] != match[1] or parent['ResourceSubType'] not in parents:
                raise Returned(BAD_PARAMETER, f"Parent {wanted.get('Parent')}")
            wanted['Parent'] = match[0]
        if wanted['ResourceSubType'] == DRIVE and (wanted.get('AddressOnParent') is None or any(
                one['ResourceSubType'] == DRIVE and one['Parent'] == wanted['Parent']
                and one['AddressOnParent'] == wanted['AddressOnParent'] for one in vm.resources)):
            raise Returned(BAD_PARAMETER, 'AddressOnParent')
        if wanted['ResourceSubType'] == DISK and not self.file(wanted['HostResource'][0]):
            raise Returned(NO_FILE, 'HostResource')
        if wanted['ResourceSubType'] == CONNECTION:
            match = re.match(r'\\\\' + re.escape(self.name) + r'\\root\\virtualization\\v2:Msvm_VirtualEthernetSwitch\.'
                             r'CreationClassName="Msvm_VirtualEthernetSwitch",Name="(.*)"\Z', wanted['HostResource'][0])
            if not match or match[1] not in self.switches:
                raise Returned(BAD_PARAMETER, 'HostResource')

    def Msvm_VirtualSystemManagementService_AddResourceSettings(self, key, given, fault):
        vm = self.vm_by_setting(given['AffectedConfiguration']['InstanceID'])
        if not vm:
            raise Returned(BAD_PARAMETER, 'AffectedConfiguration')
        self.need_idle(vm, OFF)
        added = []
        for wanted in given['ResourceSettings']:
            self.check_resource(vm, wanted)
            added.append({**wanted, 'InstanceID': vm.id(guid(), '0')})

        def end():
            vm.resources += added
        if self.settings['jobs'] == 'always' or fault:
            return {'Job': self.start('AddResourceSettings', end, vm, fault=fault)}
        end()
        return {'ResultingResourceSettings': [(one['class'], one['InstanceID']) for one in added]}

    def good_processor(self, new):
        return 1 <= new['VirtualQuantity'] <= 64 and 0 <= new['Weight'] <= 10000 \
            and 0 <= new['Reservation'] <= new['Limit'] <= 100000 and 1 <= new['MaxProcessorsPerNumaNode'] <= 2048

    def good_memory(self, new):
        return new['VirtualQuantity'] >= 32 and new['VirtualQuantity'] % 2 == 0 and 0 <= new['Weight'] <= 10000 \
            and (not new['DynamicMemoryEnabled'] or new['Reservation'] % 2 == 0
                 and 32 <= new['Reservation'] <= new['VirtualQuantity'] <= new['Limit'])

    def Msvm_VirtualSystemManagementService_ModifyResourceSettings(self, key, given, fault):
        changes = []
        for wanted in given['ResourceSettings']:
            parts = wanted.get('InstanceID', '').split('\\')
            vm = self.vm_by_setting(parts[0])
            kinds = {'Msvm_ProcessorSettingData': ('b637f346', 'processor', self.good_processor),
                     'Msvm_MemorySettingData': ('4764334d', 'ram', self.good_memory)}
            begin, which, good = kinds.get(wanted['class'], ('-', '', None))
            if not vm or not parts[1].startswith(begin):
                raise Returned(BAD_PARAMETER, 'InstanceID')
            old = getattr(vm, which)
            values = {name: value for name, value in wanted.items() if name not in ('class', 'InstanceID')}
            # shares of CPU time may change while it runs
            live = which == 'processor' and set(values) <= {'Reservation', 'Limit', 'Weight'}
            self.need_idle(vm, *((OFF, RUNNING, PAUSED) if live else (OFF,)))
            if not values or not set(values) <= set(old) or not good({**old, **values}):
                raise Returned(BAD_PARAMETER, str(wanted))
            changes.append((vm, which, {**old, **values}))
        for vm, which, new in changes:
            setattr(vm, which, new)
        return {}

    def Msvm_VirtualSystemManagementService_ModifySystemSettings(self, key, given, fault):
        wanted = given['SystemSettings']
        vm = self.vm_by_setting(wanted.get('InstanceID', ''))
        _, snapshot = self.snapshot_by_id(wanted.get('InstanceID', ''))
        if vm:
            vm.name = wanted.get('ElementName', vm.name)
        elif snapshot:
            snapshot['ElementName'] = wanted['ElementName']
        else:
            raise Returned(BAD_PARAMETER, 'InstanceID')
        return {}

    def Msvm_VirtualSystemManagementService_GetSummaryInformation(self, key, given, fault):
        names = {0: 'Name', 1: 'ElementName', 4: 'NumberOfProcessors', 100: 'EnabledState', 101: 'ProcessorLoad',
                 103: 'MemoryUsage', 104: 'Heartbeat', 105: 'UpTime'}
        out = []
        for reference in given['SettingData']:
            vm = self.vm_by_setting(reference['InstanceID'])
            if not vm:
                raise Returned(BAD_PARAMETER, 'SettingData')
            whole = {'Name': vm.guid, 'ElementName': vm.name, 'NumberOfProcessors': vm.cpus, 'EnabledState': vm.state,
                     'ProcessorLoad': 1, 'MemoryUsage': vm.memory if vm.state in (RUNNING, PAUSED) else None,
                     'Heartbeat': 2 if vm.beats() else 12, 'UpTime': 0}
            if any(one not in names for one in given['RequestedInformation']):
                raise Returned(BAD_PARAMETER, 'RequestedInformation')
            out.append({'class': 'Msvm_SummaryInformation',
                        **{names[one]: whole[names[one]] for one in given['RequestedInformation']}})
        return {'SummaryInformation': out}

    # --- checkpoints ------------------------------------------------------------------------------

    def branch(self, vm):
        """Puts a differencing disk over the VM's; returns what it had."""
        before = None
        for disk in vm.disks():
            before = disk['HostResource'][0]
            stem = re.sub(r'(_[0-9A-F-]{36})?\.a?vhdx$', '', before, flags=re.I)
            path = f'{stem}_{guid()}.avhdx'
            self.add_file(path, 4 << 20, before)
            disk['HostResource'] = [path]
        return before

    def Msvm_VirtualSystemSnapshotService_CreateSnapshot(self, key, given, fault):
        vm = self.need_vm(given['AffectedSystem'])
        self.need_idle(vm, RUNNING, OFF, PAUSED, SAVED)
        if given['SnapshotType'] != 2:
            raise Returned(BAD_PARAMETER, 'SnapshotType')
        new = f'Microsoft:{guid()}'
        memory = vm.state in (RUNNING, PAUSED) and vm.settings['UserSnapshotType'] == 5

        def end():
            before = self.branch(vm)
            vm.snapshots.append({**vm.setting(), 'InstanceID': new, 'VirtualSystemType': SNAPSHOT,
                'ElementName': f'{vm.name} - (11/28/2026 - 1:00:00 AM)', 'memory': memory, 'under': before,
                'disk': vm.disks()[0]['HostResource'][0].lower() if vm.disks() else ''})
        return {'Job': self.start('CreateSnapshot', end, vm, affected=[new], fault=fault)}

    def Msvm_VirtualSystemSnapshotService_ApplySnapshot(self, key, given, fault):
        vm, snapshot = self.snapshot_by_id(given['Snapshot']['InstanceID'])
        if not vm:
            raise Returned(BAD_PARAMETER, 'Snapshot')
        self.need_idle(vm, OFF, SAVED)

        def end():
            vm.state = SAVED if snapshot['memory'] else OFF
        return {'Job': self.start('ApplySnapshot', end, vm, fault=fault)}

    def Msvm_VirtualSystemSnapshotService_DestroySnapshot(self, key, given, fault):
        vm, snapshot = self.snapshot_by_id(given['AffectedSnapshot']['InstanceID'])
        if not vm:
            raise Returned(BAD_PARAMETER, 'AffectedSnapshot')
        self.need_idle(vm)

        def end():
            vm.snapshots.remove(snapshot)
            if not vm.snapshots and snapshot['under']:
                self.files.pop(vm.disks()[0]['HostResource'][0].lower(), None)
                vm.disks()[0]['HostResource'] = [re.sub(r'(_[0-9A-Fa-f-]{36})?\.a?vhdx$', '.vhdx', snapshot['under'])]
        return {'Job': self.start('DestroySnapshot', end, vm, fault=fault)}

    # --- disks ------------------------------------------------------------------------------------

    def check_disk(self, disk):
        path = disk.get('Path', '')
        form = {'.vhd': 2, 'vhdx': 3}.get(path[-4:].lower())
        if form is None or disk.get('Format') != form or disk.get('Type') not in (2, 3, 4):
            raise Returned(BAD_PARAMETER, 'Type or Format, or a Path with another extension')
        if (disk['Type'] == 4) != bool(disk.get('ParentPath')):
            raise Returned(BAD_PARAMETER, 'ParentPath')
        return path

    def Msvm_ImageManagementService_CreateVirtualHardDisk(self, key, given, fault):
        disk = given['VirtualDiskSettingData']
        path = self.check_disk(disk)
        if disk['Type'] != 4 and not disk.get('MaxInternalSize'):
            raise Returned(BAD_PARAMETER, 'MaxInternalSize')

        def end():
            if disk.get('ParentPath'):
                self.need_file(disk['ParentPath'])
            self.add_file(path, 4 << 20, disk.get('ParentPath'))
        return {'Job': self.start('CreateVirtualHardDisk', end, class_name='Msvm_StorageJob', fault=fault)}

    def Msvm_ImageManagementService_ConvertVirtualHardDisk(self, key, given, fault):
        path = self.check_disk(given['VirtualDiskSettingData'])
        if given['VirtualDiskSettingData']['Type'] == 4:
            raise Returned(BAD_PARAMETER, 'Type')

        def end():
            source = self.need_file(given['SourcePath'])
            if self.holds(source.path):
                raise Failure(f"The process cannot access the file '{source.path}' because it is being used by another "
                              'process. (0x80070020)', IN_USE)
            self.add_file(path, source.size)
        return {'Job': self.start('ConvertVirtualHardDisk', end, class_name='Msvm_StorageJob', fault=fault)}

    def Msvm_ImageManagementService_ResizeVirtualHardDisk(self, key, given, fault):
        def end():
            file = self.need_file(given['Path'])
            if file.parent:
                raise Failure('Failed to resize the virtual disk: it is a differencing disk')
            file.size = given['MaxInternalSize']
        return {'Job': self.start('ResizeVirtualHardDisk', end, class_name='Msvm_StorageJob', fault=fault)}

    def CIM_DataFile_Delete(self, key, given, fault):
        file = self.file(key['Name'])
        if self.holds(file.path):
            raise Returned(15, 'sharing violation')
        del self.files[file.path.lower()]
        return {}

    # --- networks, migration ----------------------------------------------------------------------

    def Msvm_VirtualEthernetSwitchManagementService_DefineSystem(self, key, given, fault):
        new = guid()

        def end():
            self.switches[new] = given['SystemSettings']['ElementName']
        return {'Job': self.start('DefineSystem', end, affected=[new], fault=fault)}

    def Msvm_VirtualEthernetSwitchManagementService_DestroySystem(self, key, given, fault):
        gone = given['AffectedSystem']['Name']
        if gone not in self.switches:
            raise Returned(BAD_PARAMETER, 'AffectedSystem')

        def end():
            del self.switches[gone]
        return {'Job': self.start('DestroySystem', end, fault=fault)}

    def Msvm_VirtualSystemMigrationService_MigrateVirtualSystemToHost(self, key, given, fault):
        vm = self.need_vm(given['ComputerSystem'])
        other = next((one for one in self.others if f'{one.name.lower()}.lab.example' == given['DestinationHost'].lower()), None)
        how = given.get('MigrationSettingData') or {}
        self.need_idle(vm, RUNNING)
        if not self.settings['migrates'] or how.get('TransportType') != 5 or how.get('MigrationType') not in (32768, 32771):
            raise Returned(BAD_PARAMETER, 'MigrationSettingData, or migration is off')
        new = {one['InstanceID']: one['HostResource'] for one in given.get('NewResourceSettingData') or []}
        if bool(new) != (how['MigrationType'] == 32771) or any(not vm.find(one) for one in new):
            raise Returned(BAD_PARAMETER, 'NewResourceSettingData')

        def end():
            if not other:
                raise Failure(f"Virtual machine migration operation for '{vm.name}' failed at migration source "
                              f"'{self.name}'. The host '{given['DestinationHost']}' could not be reached.")
            for disk in vm.disks():
                if disk['InstanceID'] in new:
                    old = self.files.pop(disk['HostResource'][0].lower())
                    disk['HostResource'] = new[disk['InstanceID']]
                    other.add_file(disk['HostResource'][0], old.size)
            del self.vms[vm.guid]
            vm.host = other
            other.vms[vm.guid] = vm
        return {'Job': self.start('MigrateVirtualSystemToHost', end, vm, 'Msvm_MigrationJob', fault=fault)}
