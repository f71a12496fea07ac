// SPDX-License-Identifier: MIT
// Tasks that take their time. vcsim's have ended when they are answered; so what is asked of it is
// asked later, and a task of vcsim's own kind stands for it meanwhile, with all notifications.
package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// The task that an answer names.
func taskOf(a answer) *simulator.Task {
	decoder := xml.NewDecoder(bytes.NewReader(a.body))
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil
		}
		if start, is := token.(xml.StartElement); is && start.Name.Local == "returnval" {
			var value string
			if decoder.DecodeElement(&value, &start) != nil {
				return nil
			}
			ref := types.ManagedObjectReference{Type: "Task", Value: value}
			task, _ := simulator.Map.Get(ref).(*simulator.Task)
			return task
		}
	}
}

func faultNamed(name string) types.BaseMethodFault {
	switch name {
	case "TaskInProgress":
		return new(types.TaskInProgress)
	case "NoDiskSpace":
		return &types.NoDiskSpace{Datastore: "LocalDS_0"}
	case "DuplicateName":
		return &types.DuplicateName{Name: "taken"}
	case "InsufficientMemoryResourcesFault":
		return new(types.InsufficientMemoryResourcesFault)
	case "RequestCanceled":
		return new(types.RequestCanceled)
	default:
		return new(types.GenericVmConfigFault)
	}
}

func (f *front) slowTask(r *http.Request, method *simulator.Method, body []byte, set settings,
	fault *fault) answer {
	var task *simulator.Task
	name, free := f.reserve(method)
	run := func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if !free {
			return nil, faultNamed("DuplicateName")
		}
		defer f.release(name)
		for until := time.Now().Add(time.Duration(set.TaskMs) * time.Millisecond); ; {
			f.Lock()
			stopped := f.cancelled[task.Self.Value]
			f.Unlock()
			if stopped {
				return nil, new(types.RequestCanceled)
			}
			if time.Now().After(until) {
				break
			}
			time.Sleep(2 * time.Millisecond)
		}
		if fault.Task != "" {
			return nil, faultNamed(fault.Task)
		}
		a := f.forward(r, body)
		inner := taskOf(a)
		if inner == nil {
			return nil, faultNamed("")
		}
		if inner.Info.Error != nil {
			return nil, inner.Info.Error.Fault
		}
		f.tools(method, set)
		return inner.Info.Result, nil
	}
	kind := strings.TrimSuffix(method.Name, "_Task") + "Task"
	task = simulator.CreateTask(simulator.Map.Get(method.This), kind, run)
	go task.Run()
	return result(method.Name, fmt.Sprintf(`<returnval type="Task">%s</returnval>`, task.Self.Value))
}

// The name that a VM is to have, and whether it is free; it is taken from now on. vcsim lets several VMs
// of a folder have one name, which vSphere does not.
func (f *front) reserve(method *simulator.Method) (string, bool) {
	var name string
	switch request := method.Body.(type) {
	case *types.CreateVM_Task:
		name = request.Config.Name
	case *types.CloneVM_Task:
		name = request.Name
	default:
		return "", true
	}
	f.Lock()
	defer f.Unlock()
	if f.making[name] || len(vms(name)) > 0 {
		return name, false
	}
	f.making[name] = true
	return name, true
}

func (f *front) release(name string) {
	f.Lock()
	defer f.Unlock()
	delete(f.making, name)
}

func (f *front) cancel(request *types.CancelTask) answer {
	if simulator.Map.Get(request.This) == nil {
		return refusal("ManagedObjectNotFound", "no such task", "")
	}
	f.Lock()
	f.cancelled[request.This.Value] = true
	f.Unlock()
	return result("CancelTask", "")
}

// VMware Tools come some time after a start, and go with the VM's power.
func (f *front) tools(method *simulator.Method, set settings) {
	ref := method.This
	switch method.Name {
	case "PowerOnVM_Task", "ResetVM_Task":
		if set.ToolsMs < 0 {
			return
		}
		go func() {
			time.Sleep(time.Duration(set.ToolsMs) * time.Millisecond)
			setTools(ref, types.VirtualMachineToolsRunningStatusGuestToolsRunning)
		}()
	case "PowerOffVM_Task", "SuspendVM_Task", "ShutdownGuest":
		setTools(ref, types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
	}
}

func setTools(ref types.ManagedObjectReference, status types.VirtualMachineToolsRunningStatus) {
	vm, is := simulator.Map.Get(ref).(*simulator.VirtualMachine)
	if !is {
		return
	}
	simulator.Map.WithLock(vm, func() {
		on := vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
		if status == types.VirtualMachineToolsRunningStatusGuestToolsRunning && !on {
			return
		}
		simulator.Map.Update(vm, []types.PropertyChange{
			{Name: "guest.toolsRunningStatus", Val: string(status)}})
	})
}
