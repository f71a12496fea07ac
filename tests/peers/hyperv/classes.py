# SPDX-License-Identifier: MIT
"""The WMI classes that the peer has: keys, properties with types, methods with parameters.

Names and types as Microsoft documents them for root/virtualization/v2 and root/cimv2 (Windows Server
2016 and later); only what somebody could ask for here. A type that ends with [] is an array; "ref" is a
reference; "inst CLASS" an embedded instance.
"""

VIRT = 'root/virtualization/v2'
HOST = 'root/cimv2'

_resource = {
    'InstanceID': 'string', 'Caption': 'string', 'Description': 'string', 'ElementName': 'string',
    'ResourceType': 'uint16', 'OtherResourceType': 'string', 'ResourceSubType': 'string',
    'PoolID': 'string', 'ConsumerVisibility': 'uint16', 'HostResource': 'string[]',
    'AllocationUnits': 'string', 'VirtualQuantity': 'uint64', 'Reservation': 'uint64',
    'Limit': 'uint64', 'Weight': 'uint32', 'AutomaticAllocation': 'boolean',
    'AutomaticDeallocation': 'boolean', 'Parent': 'string', 'Connection': 'string[]',
    'Address': 'string', 'MappingBehavior': 'uint16', 'AddressOnParent': 'string',
    'VirtualQuantityUnits': 'string', 'VirtualSystemIdentifiers': 'string[]',
}

_job = {
    'InstanceID': 'string', 'Caption': 'string', 'Description': 'string', 'ElementName': 'string',
    'Name': 'string', 'JobState': 'uint16', 'JobStatus': 'string', 'PercentComplete': 'uint16',
    'ErrorCode': 'uint16', 'ErrorDescription': 'string', 'ErrorSummaryDescription': 'string',
    'Cancellable': 'boolean', 'DeleteOnCompletion': 'boolean',
}

_component = {
    'ElementName': 'string', 'Name': 'string', 'OperationalStatus': 'uint16[]',
    'StatusDescriptions': 'string[]', 'EnabledState': 'uint16', 'CreationClassName': 'string',
    'SystemCreationClassName': 'string', 'SystemName': 'string', 'DeviceID': 'string',
}

_service = {
    'ElementName': 'string', 'Name': 'string', 'CreationClassName': 'string',
    'SystemCreationClassName': 'string', 'SystemName': 'string', 'Started': 'boolean',
}

_service_keys = ('CreationClassName', 'Name', 'SystemCreationClassName', 'SystemName')
_component_keys = ('CreationClassName', 'DeviceID', 'SystemCreationClassName', 'SystemName')

_state_change = {'in': {'RequestedState': 'uint16', 'TimeoutPeriod': 'datetime'}, 'need': ['RequestedState']}


class Class:
    def __init__(self, space, keys, properties, methods=None):
        self.space, self.keys, self.properties, self.methods = space, keys, properties, methods or {}


CLASSES = {
    'Msvm_ComputerSystem': Class(VIRT, ('CreationClassName', 'Name'), {
        'CreationClassName': 'string', 'Name': 'string', 'ElementName': 'string', 'Caption': 'string',
        'Description': 'string', 'EnabledState': 'uint16', 'RequestedState': 'uint16',
        'HealthState': 'uint16', 'OperationalStatus': 'uint16[]', 'InstallDate': 'datetime',
        'OnTimeInMilliseconds': 'uint64', 'ProcessID': 'uint32', 'NumberOfNumaNodes': 'uint16',
    }, {'RequestStateChange': _state_change}),
    'Msvm_VirtualSystemSettingData': Class(VIRT, ('InstanceID',), {
        'InstanceID': 'string', 'Caption': 'string', 'ElementName': 'string',
        'VirtualSystemIdentifier': 'string', 'VirtualSystemType': 'string', 'Notes': 'string[]',
        'CreationTime': 'datetime', 'ConfigurationDataRoot': 'string', 'SnapshotDataRoot': 'string',
        'AutomaticStartupAction': 'uint16', 'AutomaticShutdownAction': 'uint16',
        'VirtualSystemSubType': 'string', 'SecureBootEnabled': 'boolean', 'UserSnapshotType': 'uint16',
        'Parent': 'string', 'Version': 'string', 'IsSaved': 'boolean', 'BootOrder': 'uint16[]',
    }),
    'Msvm_ResourceAllocationSettingData': Class(VIRT, ('InstanceID',), _resource),
    'Msvm_StorageAllocationSettingData': Class(VIRT, ('InstanceID',), _resource),
    'Msvm_SyntheticEthernetPortSettingData': Class(VIRT, ('InstanceID',), {
        **_resource, 'StaticMacAddress': 'boolean'}),
    'Msvm_EthernetPortAllocationSettingData': Class(VIRT, ('InstanceID',), {
        **_resource, 'EnabledState': 'uint16'}),
    'Msvm_ProcessorSettingData': Class(VIRT, ('InstanceID',), {
        **_resource, 'LimitCPUID': 'boolean', 'LimitProcessorFeatures': 'boolean',
        'HwThreadsPerCore': 'uint64', 'MaxProcessorsPerNumaNode': 'uint64', 'MaxNumaNodesPerSocket': 'uint64',
        'ExposeVirtualizationExtensions': 'boolean'}),
    'Msvm_MemorySettingData': Class(VIRT, ('InstanceID',), {
        **_resource, 'DynamicMemoryEnabled': 'boolean', 'TargetMemoryBuffer': 'uint32', 'MaxMemoryBlocksPerNumaNode': 'uint64'}),
    'Msvm_VirtualHardDiskSettingData': Class(VIRT, ('InstanceID',), {
        'InstanceID': 'string', 'ElementName': 'string', 'Type': 'uint16', 'Format': 'uint16',
        'Path': 'string', 'ParentPath': 'string', 'MaxInternalSize': 'uint64', 'BlockSize': 'uint32',
        'LogicalSectorSize': 'uint32', 'PhysicalSectorSize': 'uint32'}),
    'Msvm_VirtualEthernetSwitchSettingData': Class(VIRT, ('InstanceID',), {
        'InstanceID': 'string', 'ElementName': 'string', 'Notes': 'string[]'}),
    'Msvm_VirtualSystemMigrationSettingData': Class(VIRT, ('InstanceID',), {
        'InstanceID': 'string', 'MigrationType': 'uint16', 'TransportType': 'uint16',
        'DestinationIPAddressList': 'string[]', 'EnableCompression': 'boolean',
        'RetainVhdCopiesOnSource': 'boolean', 'DestinationPlannedVirtualSystemId': 'string'}),
    'Msvm_SummaryInformation': Class(VIRT, ('Name',), {
        'Name': 'string', 'ElementName': 'string', 'EnabledState': 'uint16', 'MemoryUsage': 'uint64',
        'NumberOfProcessors': 'uint16', 'UpTime': 'uint64', 'Heartbeat': 'uint16',
        'ProcessorLoad': 'uint16'}),
    'Msvm_ConcreteJob': Class(VIRT, ('InstanceID',), _job, {'RequestStateChange': _state_change}),
    'Msvm_StorageJob': Class(VIRT, ('InstanceID',), _job, {'RequestStateChange': _state_change}),
    'Msvm_MigrationJob': Class(VIRT, ('InstanceID',), _job, {'RequestStateChange': _state_change}),
    'Msvm_HeartbeatComponent': Class(VIRT, _component_keys, _component),
    'Msvm_ShutdownComponent': Class(VIRT, _component_keys, _component, {
        'InitiateShutdown': {'in': {'Force': 'boolean', 'Reason': 'string'}, 'need': ['Force', 'Reason']}}),
    'Msvm_GuestNetworkAdapterConfiguration': Class(VIRT, ('InstanceID',), {
        'InstanceID': 'string', 'DHCPEnabled': 'boolean', 'IPAddresses': 'string[]',
        'Subnets': 'string[]', 'DefaultGateways': 'string[]', 'DNSServers': 'string[]'}),
    'Msvm_VirtualEthernetSwitch': Class(VIRT, ('CreationClassName', 'Name'), {
        'CreationClassName': 'string', 'Name': 'string', 'ElementName': 'string'}),
    'Msvm_VirtualSystemManagementService': Class(VIRT, _service_keys, _service, {
        'DefineSystem': {'in': {'SystemSettings': 'inst Msvm_VirtualSystemSettingData',
            'ResourceSettings': 'string[]', 'ReferenceConfiguration': 'ref Msvm_VirtualSystemSettingData'},
            'need': []},
        'DestroySystem': {'in': {'AffectedSystem': 'ref Msvm_ComputerSystem'}, 'need': ['AffectedSystem']},
        'AddResourceSettings': {'in': {'AffectedConfiguration': 'ref Msvm_VirtualSystemSettingData',
            'ResourceSettings': 'inst[] *'}, 'need': ['AffectedConfiguration', 'ResourceSettings']},
        'ModifyResourceSettings': {'in': {'ResourceSettings': 'inst[] *'}, 'need': ['ResourceSettings']},
        'ModifySystemSettings': {'in': {'SystemSettings': 'inst Msvm_VirtualSystemSettingData'},
            'need': ['SystemSettings']},
        'GetSummaryInformation': {'in': {'SettingData': 'ref[] Msvm_VirtualSystemSettingData',
            'RequestedInformation': 'uint32[]'}, 'need': ['RequestedInformation']},
    }),
    'Msvm_VirtualSystemSnapshotService': Class(VIRT, _service_keys, _service, {
        'CreateSnapshot': {'in': {'AffectedSystem': 'ref Msvm_ComputerSystem', 'SnapshotSettings': 'string',
            'SnapshotType': 'uint16', 'ResultingSnapshot': 'ref Msvm_VirtualSystemSettingData'},
            'need': ['AffectedSystem', 'SnapshotType']},
        'ApplySnapshot': {'in': {'Snapshot': 'ref Msvm_VirtualSystemSettingData'}, 'need': ['Snapshot']},
        'DestroySnapshot': {'in': {'AffectedSnapshot': 'ref Msvm_VirtualSystemSettingData'},
            'need': ['AffectedSnapshot']},
    }),
    'Msvm_ImageManagementService': Class(VIRT, _service_keys, _service, {
        'CreateVirtualHardDisk': {'in': {'VirtualDiskSettingData': 'inst Msvm_VirtualHardDiskSettingData'},
            'need': ['VirtualDiskSettingData']},
        'ConvertVirtualHardDisk': {'in': {'SourcePath': 'string',
            'VirtualDiskSettingData': 'inst Msvm_VirtualHardDiskSettingData'},
            'need': ['SourcePath', 'VirtualDiskSettingData']},
        'ResizeVirtualHardDisk': {'in': {'Path': 'string', 'MaxInternalSize': 'uint64'},
            'need': ['Path', 'MaxInternalSize']},
    }),
    'Msvm_VirtualSystemMigrationService': Class(VIRT, _service_keys, _service, {
        'MigrateVirtualSystemToHost': {'in': {'ComputerSystem': 'ref Msvm_ComputerSystem',
            'DestinationHost': 'string',
            'MigrationSettingData': 'inst Msvm_VirtualSystemMigrationSettingData',
            'NewSystemSettingData': 'inst Msvm_VirtualSystemSettingData',
            'NewResourceSettingData': 'inst[] *'}, 'need': ['ComputerSystem', 'DestinationHost']},
    }),
    'Msvm_VirtualEthernetSwitchManagementService': Class(VIRT, _service_keys, _service, {
        'DefineSystem': {'in': {'SystemSettings': 'inst Msvm_VirtualEthernetSwitchSettingData',
            'ResourceSettings': 'string[]'}, 'need': ['SystemSettings']},
        'DestroySystem': {'in': {'AffectedSystem': 'ref Msvm_VirtualEthernetSwitch'},
            'need': ['AffectedSystem']},
    }),
    'Msvm_VirtualSystemManagementServiceSettingData': Class(VIRT, ('InstanceID',), {
        'InstanceID': 'string', 'DefaultExternalDataRoot': 'string', 'DefaultVirtualHardDiskPath': 'string'}),
    'Msvm_VirtualSystemMigrationServiceSettingData': Class(VIRT, ('InstanceID',), {
        'InstanceID': 'string', 'EnableVirtualSystemMigration': 'boolean', 'AuthenticationType': 'uint16'}),
    'Win32_OperatingSystem': Class(HOST, ('Name',), {
        'Name': 'string', 'Caption': 'string', 'Version': 'string', 'BuildNumber': 'string'}),
    'Win32_ComputerSystem': Class(HOST, ('Name',), {
        'Name': 'string', 'DNSHostName': 'string', 'Domain': 'string', 'PartOfDomain': 'boolean'}),
    'CIM_DataFile': Class(HOST, ('Name',), {
        'Name': 'string', 'Drive': 'string', 'Path': 'string', 'FileName': 'string',
        'Extension': 'string', 'FileSize': 'uint64'}, {'Delete': {'in': {}, 'need': []}}),
    'Win32_PerfRawData_HvStats_HyperVHypervisorVirtualProcessor': Class(HOST, ('Name',), {
        'Name': 'string', 'PercentGuestRunTime': 'uint64', 'PercentTotalRunTime': 'uint64',
        'Timestamp_Sys100NS': 'uint64'}),
}
