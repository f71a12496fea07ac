// SPDX-License-Identifier: MIT
// A peer for tests of the vSphere driver: govmomi's simulator (vcsim), as Debian packages it, behind a
// front of ours that checks every request, and misbehaves when it is told to. See README.md.
//
//	peer -model vpx|esx -cert cert.pem -key cert-key.pem
//
// Prints "listening PORT CONTROL-PORT" when ready and ends with its standard input.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"io/ioutil"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	userName = "bench@vsphere.local"
	password = "Zw4n-passw0rd<&>\"of'lab"
	// of the account in the VMs
	guestName     = "bench"
	guestPassword = "Gu3st-pass<w&rd>'s"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// A template to clone, with a snapshot to link to, and somebody else's VM that has nearly our name.
func furnish(ctx context.Context, address *url.URL, vpx bool) {
	client, err := govmomi.NewClient(ctx, address, true)
	check(err)
	finder := find.NewFinder(client.Client)
	datacenter, err := finder.DefaultDatacenter(ctx)
	check(err)
	finder.SetDatacenter(datacenter)
	folders, err := datacenter.Folders(ctx)
	check(err)
	path := "*/Resources"
	if vpx {
		path = "DC0_C0/Resources"
	}
	pool, err := finder.ResourcePool(ctx, path)
	check(err)
	for _, name := range []string{"debian12", "novacore_of_somebody_else"} {
		task, err := folders.VmFolder.CreateVM(ctx, types.VirtualMachineConfigSpec{Name: name,
			GuestId: "otherLinux64Guest", NumCPUs: 1, MemoryMB: 64,
			Files: &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0]"}}, pool, nil)
		check(err)
		check(task.Wait(ctx))
	}
	if !vpx {
		return
	}
	template, err := finder.VirtualMachine(ctx, "debian12")
	check(err)
	task, err := template.CreateSnapshot(ctx, "clean", "", false, false)
	check(err)
	check(task.Wait(ctx))
	check(template.MarkAsTemplate(ctx))
	_, err = folders.VmFolder.CreateFolder(ctx, "lab")
	check(err)
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	return listener
}

func port(listener net.Listener) int {
	return listener.Addr().(*net.TCPAddr).Port
}

func main() {
	kind := flag.String("model", "vpx", "vpx or esx")
	cert := flag.String("cert", "cert.pem", "")
	key := flag.String("key", "cert-key.pem", "")
	flag.Parse()

	log.SetOutput(ioutil.Discard)
	model := simulator.VPX()
	if *kind == "esx" {
		model = simulator.ESX()
	}
	check(model.Create())
	defer model.Remove()
	model.Service.TLS = new(tls.Config)
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(userName, password)}
	server := model.Service.NewServer()
	furnish(context.Background(), server.URL, *kind == "vpx")

	front := newFront(server.URL.Host)
	certificate, err := tls.LoadX509KeyPair(*cert, *key)
	check(err)
	public, control := listen(), listen()
	secure := tls.NewListener(public, &tls.Config{Certificates: []tls.Certificate{certificate}})
	go func() {
		quiet := log.New(ioutil.Discard, "", 0)
		check((&http.Server{Handler: front, ErrorLog: quiet}).Serve(secure))
	}()
	go func() { check(http.Serve(control, front.control())) }()
	fmt.Printf("listening %d %d\n", port(public), port(control))
	_, _ = io.Copy(ioutil.Discard, os.Stdin)
	front.close()
}
