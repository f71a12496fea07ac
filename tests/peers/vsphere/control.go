// SPDX-License-Identifier: MIT
// The control port, for tests alone: plain HTTP and JSON.
//
//	POST /fault     a wish, see front.go
//	POST /clear     no more of them
//	POST /settings  taskMs, toolsMs, denied
//	POST /expire    ends all sessions
//	POST /rename    {"id": …, "name": …}: a VM, behind everybody's back
//	POST /licence   {"edition": …}: the only one there is
//	GET /calls      {"total", "calls": {METHOD: N}, "rejected": […]}
//	GET /vms        [{"id", "name", "power", "host", "cpus", "memory", "snapshots"}]; ?NAME: only that
package main

import (
	"encoding/json"
	"net/http"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

type vmFacts struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Power     string `json:"power"`
	Host      string `json:"host"`
	Template  bool   `json:"template"`
	CPUs      int32  `json:"cpus"`
	Memory    int32  `json:"memory"`
	Snapshots int    `json:"snapshots"`
}

func count(tree []types.VirtualMachineSnapshotTree) int {
	n := len(tree)
	for _, one := range tree {
		n += count(one.ChildSnapshotList)
	}
	return n
}

func vms(name string) []vmFacts {
	list := []vmFacts{}
	for _, entity := range simulator.Map.All("VirtualMachine") {
		vm, is := entity.(*simulator.VirtualMachine)
		if !is {
			continue
		}
		simulator.Map.WithLock(vm, func() {
			if name != "" && vm.Name != name {
				return
			}
			facts := vmFacts{ID: vm.Self.Value, Name: vm.Name, Power: string(vm.Runtime.PowerState)}
			if vm.Config != nil {
				facts.Template = vm.Config.Template
				facts.CPUs, facts.Memory = vm.Config.Hardware.NumCPU, vm.Config.Hardware.MemoryMB
			}
			if vm.Runtime.Host != nil {
				facts.Host = vm.Runtime.Host.Value
			}
			if vm.Snapshot != nil {
				facts.Snapshots = count(vm.Snapshot.RootSnapshotList)
			}
			list = append(list, facts)
		})
	}
	return list
}

func rename(id, name string) {
	ref := types.ManagedObjectReference{Type: "VirtualMachine", Value: id}
	if vm, is := simulator.Map.Get(ref).(*simulator.VirtualMachine); is {
		simulator.Map.WithLock(vm, func() { vm.Name = name })
	}
}

func setLicence(edition string) {
	ref := types.ManagedObjectReference{Type: "LicenseManager", Value: "LicenseManager"}
	manager, is := simulator.Map.Get(ref).(*simulator.LicenseManager)
	if !is {
		ref.Value = "ha-license-manager"
		manager, is = simulator.Map.Get(ref).(*simulator.LicenseManager)
	}
	if is {
		simulator.Map.WithLock(manager, func() {
			manager.Licenses = []types.LicenseManagerLicenseInfo{{LicenseKey: "0", EditionKey: edition,
				Name: edition}}
		})
	}
}

func (f *front) control() http.Handler {
	mux := http.NewServeMux()
	handle := func(path string, act func(r *http.Request) interface{}) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			out := act(r)
			if out == nil {
				out = struct{}{}
			}
			_ = json.NewEncoder(w).Encode(out)
		})
	}
	read := func(r *http.Request, to interface{}) { check(json.NewDecoder(r.Body).Decode(to)) }
	handle("/fault", func(r *http.Request) interface{} {
		one := &fault{Times: 1}
		read(r, one)
		f.Lock()
		defer f.Unlock()
		f.faults = append(f.faults, one)
		return nil
	})
	handle("/clear", func(r *http.Request) interface{} {
		f.Lock()
		defer f.Unlock()
		f.faults = nil
		return nil
	})
	handle("/settings", func(r *http.Request) interface{} {
		f.Lock()
		defer f.Unlock()
		f.settings = settings{}
		read(r, &f.settings)
		return nil
	})
	handle("/expire", func(r *http.Request) interface{} {
		f.Lock()
		defer f.Unlock()
		for cookie := range f.known {
			f.expired[cookie] = true
		}
		return nil
	})
	handle("/rename", func(r *http.Request) interface{} {
		var wish struct{ ID, Name string }
		read(r, &wish)
		rename(wish.ID, wish.Name)
		return nil
	})
	handle("/licence", func(r *http.Request) interface{} {
		var wish struct{ Edition string }
		read(r, &wish)
		setLicence(wish.Edition)
		return nil
	})
	handle("/calls", func(r *http.Request) interface{} {
		f.Lock()
		defer f.Unlock()
		text, err := json.Marshal(f.seen)
		check(err)
		return json.RawMessage(text)
	})
	handle("/files", func(r *http.Request) interface{} { return files() })
	handle("/vms", func(r *http.Request) interface{} { return vms(r.URL.RawQuery) })
	return mux
}
