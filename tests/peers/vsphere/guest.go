// SPDX-License-Identifier: MIT
// Guest operations, which vcsim does not have: self-made. A VM's guest is a directory of this machine,
// its programs run here, its files go by addresses that are good once.
package main

import (
	"fmt"
	"io/ioutil"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

type program struct {
	command *exec.Cmd
	ended   time.Time
	code    int
}

type guests struct {
	sync.Mutex
	root     string
	programs map[int64]*program
	files    map[string]string // of an address's token
}

func newGuests() *guests {
	root, err := ioutil.TempDir("", "novacore-guests-")
	check(err)
	return &guests{root: root, programs: map[int64]*program{}, files: map[string]string{}}
}

func (g *guests) close() {
	g.Lock()
	defer g.Unlock()
	for _, one := range g.programs {
		if one.ended.IsZero() {
			_ = one.command.Process.Kill()
		}
	}
	_ = os.RemoveAll(g.root)
}

// A VM that runs says since when, which vcsim's do not; to the test it is enough that it is not long ago.
func noteBoots() {
	for _, entity := range simulator.Map.All("VirtualMachine") {
		machine := entity.(*simulator.VirtualMachine)
		simulator.Map.WithLock(machine, func() {
			if machine.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
				machine.Runtime.BootTime = nil
			} else if machine.Runtime.BootTime == nil {
				now := time.Now()
				machine.Runtime.BootTime = &now
			}
		})
	}
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(text)
}

// Who asks, and whether the guest can be asked; "" if all is well.
func refused(vm types.ManagedObjectReference, auth types.BaseGuestAuthentication) (string, string) {
	machine, is := simulator.Map.Get(vm).(*simulator.VirtualMachine)
	if !is {
		return "ManagedObjectNotFound", "no such VM"
	}
	running := false
	simulator.Map.WithLock(machine, func() {
		running = machine.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn &&
			machine.Guest.ToolsRunningStatus == "guestToolsRunning"
	})
	if !running {
		return "GuestOperationsUnavailable", "The guest operations agent could not be contacted."
	}
	named, is := auth.(*types.NamePasswordAuthentication)
	if !is || named.Username != guestName || named.Password != guestPassword {
		return "InvalidGuestLogin", "Failed to authenticate with the guest operating system using the " +
			"supplied credentials."
	}
	return "", ""
}

func (g *guests) perform(method *simulator.Method) answer {
	g.Lock()
	defer g.Unlock()
	switch r := method.Body.(type) {
	case *types.CreateTemporaryDirectoryInGuest:
		return g.guarded(r.Vm, r.Auth, method.Name, func() string { return g.makeDirectory(r) })
	case *types.DeleteDirectoryInGuest:
		return g.guarded(r.Vm, r.Auth, method.Name, func() string {
			if strings.HasPrefix(r.DirectoryPath, g.root) {
				check(os.RemoveAll(r.DirectoryPath))
			}
			return ""
		})
	case *types.InitiateFileTransferToGuest:
		return g.guarded(r.Vm, r.Auth, method.Name, func() string {
			return "<returnval>" + g.address(r.GuestFilePath) + "</returnval>"
		})
	case *types.InitiateFileTransferFromGuest:
		return g.guarded(r.Vm, r.Auth, method.Name, func() string {
			info, err := os.Stat(r.GuestFilePath)
			check(err)
			return fmt.Sprintf("<returnval><attributes/><size>%d</size><url>%s</url></returnval>",
				info.Size(), g.address(r.GuestFilePath))
		})
	case *types.StartProgramInGuest:
		return g.guarded(r.Vm, r.Auth, method.Name, func() string { return g.start(r) })
	case *types.ListProcessesInGuest:
		return g.guarded(r.Vm, r.Auth, method.Name, func() string { return g.list(r.Pids) })
	case *types.TerminateProcessInGuest:
		return g.guarded(r.Vm, r.Auth, method.Name, func() string {
			if one := g.programs[r.Pid]; one != nil && one.ended.IsZero() {
				_ = one.command.Process.Kill()
			}
			return ""
		})
	}
	return refusal("NotSupported", "not a guest operation", "")
}

func (g *guests) guarded(vm types.ManagedObjectReference, auth types.BaseGuestAuthentication,
	method string, act func() string) answer {
	if kind, text := refused(vm, auth); kind != "" {
		return refusal(kind, text, "")
	}
	return result(method, act())
}

func (g *guests) makeDirectory(r *types.CreateTemporaryDirectoryInGuest) string {
	path, err := ioutil.TempDir(g.root, r.Prefix)
	check(err)
	return "<returnval>" + escape(path) + "</returnval>"
}

// "*" is the server itself, as the client knows it.
func (g *guests) address(file string) string {
	token := uuid.New().String()
	g.files[token] = file
	return "https://*:443/guestFile?id=1&amp;token=" + token
}

// As VMware Tools do it on Linux: the shell gets the path in quotes and the arguments as they are.
func (g *guests) start(r *types.StartProgramInGuest) string {
	spec := r.Spec.GetGuestProgramSpec()
	command := exec.Command("/bin/sh", "-c", fmt.Sprintf("exec \"%s\" %s", spec.ProgramPath, spec.Arguments))
	command.Dir = g.root
	check(command.Start())
	one := &program{command: command}
	pid := int64(command.Process.Pid)
	g.programs[pid] = one
	go func() {
		_ = command.Wait()
		g.Lock()
		defer g.Unlock()
		one.ended = time.Now()
		one.code = command.ProcessState.ExitCode()
	}()
	return fmt.Sprintf("<returnval>%d</returnval>", pid)
}

func (g *guests) list(pids []int64) string {
	var text strings.Builder
	for _, pid := range pids {
		one := g.programs[pid]
		if one == nil {
			continue
		}
		fmt.Fprintf(&text, "<returnval><name>sh</name><pid>%d</pid><owner>%s</owner><cmdLine>%s</cmdLine>"+
			"<startTime>2026-01-01T00:00:00Z</startTime>", pid, guestName, escape(one.command.String()))
		if !one.ended.IsZero() {
			fmt.Fprintf(&text, "<endTime>%s</endTime><exitCode>%d</exitCode>",
				one.ended.UTC().Format(time.RFC3339), one.code)
		}
		text.WriteString("</returnval>")
	}
	return text.String()
}

// GET or PUT of an address.
func (g *guests) file(r *http.Request, body []byte) answer {
	g.Lock()
	defer g.Unlock()
	token := r.URL.Query().Get("token")
	path, is := g.files[token]
	if r.URL.Path != "/guestFile" || !is || r.Header.Get("Cookie") != "" {
		return answer{status: 404, body: []byte("no such file")}
	}
	delete(g.files, token)
	if r.Method == http.MethodPut {
		check(ioutil.WriteFile(filepath.Clean(path), body, 0600))
		return answer{status: 200}
	}
	text, err := ioutil.ReadFile(filepath.Clean(path))
	check(err)
	return answer{status: 200, header: http.Header{"Content-Type": {"application/octet-stream"}}, body: text}
}
