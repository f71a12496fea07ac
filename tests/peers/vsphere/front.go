// SPDX-License-Identifier: MIT
// The front: what is between the driver and vcsim. It injects faults, keeps count, and hands on.
package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io/ioutil"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// What the test wishes to go wrong; the words are those of the other peers.
type fault struct {
	Match   string `json:"match"` // of the method's name, or of "GET /path"
	Times   int    `json:"times"`
	DelayMs int    `json:"delay_ms"`
	Drop    string `json:"drop"` // before (not carried out), middle (half of the answer), after
	Status  int    `json:"status"`
	Garbage string `json:"garbage"` // instead of the answer
	Where   string `json:"location"`
	Fault   string `json:"fault"` // a type of the API's, as a refusal
	Task    string `json:"task"`  // the same, as the end of the task
	SlowMs  int    `json:"slow_ms"`
	Size    int    `json:"size"`
}

type settings struct {
	TaskMs  int      `json:"taskMs"`  // how long a task runs; 0: none does, when it is answered
	ToolsMs int      `json:"toolsMs"` // after a start; below 0: never
	Denied  []string `json:"denied"`  // privileges
}

type front struct {
	sync.Mutex
	backend  string
	client   *http.Client
	faults   []*fault
	settings settings
	seen     struct {
		Total    int            `json:"total"`
		Calls    map[string]int `json:"calls"`
		Rejected []string       `json:"rejected"`
	}
	expired   map[string]bool // cookies that are good no more
	known     map[string]bool
	cancelled map[string]bool // tasks
	making    map[string]bool // names of VMs
	guests    *guests
}

func newFront(backend string) *front {
	f := &front{backend: backend, expired: map[string]bool{}, known: map[string]bool{},
		cancelled: map[string]bool{}, making: map[string]bool{}, guests: newGuests()}
	f.seen.Calls = map[string]int{}
	f.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // of our own, on loopback
	return f
}

func (f *front) close() { f.guests.close() }

func (f *front) set() settings {
	f.Lock()
	defer f.Unlock()
	return f.settings
}

func (f *front) take(key string) *fault {
	f.Lock()
	defer f.Unlock()
	f.seen.Total++
	f.seen.Calls[key]++
	for _, one := range f.faults {
		if one.Times > 0 && regexp.MustCompile(one.Match).MatchString(key) {
			one.Times--
			return one
		}
	}
	return &fault{}
}

func (f *front) reject(format string, arguments ...interface{}) answer {
	text := fmt.Sprintf(format, arguments...)
	f.Lock()
	f.seen.Rejected = append(f.seen.Rejected, text)
	f.Unlock()
	return refusal("InvalidRequest", text, "")
}

// --- answers

type answer struct {
	status int
	header http.Header
	body   []byte
}

const envelope = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body>%s</soapenv:Body></soapenv:Envelope>`

func refusal(kind, text, details string) answer {
	escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(text)
	return answer{status: 500, body: []byte(fmt.Sprintf(envelope, fmt.Sprintf(
		`<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring><detail>`+
			`<%sFault xmlns="urn:vim25" xsi:type="%s">%s</%sFault></detail></soapenv:Fault>`,
		escaped, kind, kind, details, kind)))}
}

func result(method, inner string) answer {
	return answer{status: 200, body: []byte(fmt.Sprintf(envelope,
		fmt.Sprintf(`<%sResponse xmlns="urn:vim25">%s</%sResponse>`, method, inner, method)))}
}

func cut(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

// Sends it as the fault wants it.
func (f *front) send(w http.ResponseWriter, a answer, fault *fault) {
	if fault.Garbage != "" {
		a.body = []byte(fault.Garbage)
	} else if fault.Size > 0 {
		a.body = []byte(fmt.Sprintf(envelope, strings.Repeat("x", fault.Size)))
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
	w.WriteHeader(a.status)
	if fault.Drop == "middle" {
		_, _ = w.Write(a.body[:len(a.body)/2])
		w.(http.Flusher).Flush()
		cut(w)
		return
	}
	if fault.SlowMs == 0 {
		_, _ = w.Write(a.body)
		return
	}
	for i := range a.body {
		_, _ = w.Write(a.body[i : i+1])
		w.(http.Flusher).Flush()
		time.Sleep(time.Duration(fault.SlowMs) * time.Millisecond)
	}
}

// --- requests

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := ioutil.ReadAll(r.Body)
	if err != nil {
		return
	}
	key := r.Method + " " + r.URL.Path
	var method *simulator.Method
	var complaint error
	if r.URL.Path == "/sdk" {
		method, complaint = decode(r, body)
		if method != nil {
			key = method.Name
		}
	}
	fault := f.take(key)
	time.Sleep(time.Duration(fault.DelayMs) * time.Millisecond)
	switch {
	case fault.Drop == "before":
		cut(w)
		return
	case fault.Where != "":
		f.send(w, answer{status: 302, header: http.Header{"Location": {fault.Where}}}, fault)
		return
	case fault.Status != 0:
		f.send(w, answer{status: fault.Status, body: []byte("injected"),
			header: http.Header{"Content-Type": {"text/plain"}}}, fault)
		return
	case fault.Fault != "":
		f.send(w, refusal(fault.Fault, "injected fault", ""), fault)
		return
	}
	var a answer
	switch {
	case complaint != nil:
		a = f.reject("%s: %s", key, complaint)
	case method != nil:
		a = f.perform(r, method, body, fault)
	case strings.HasPrefix(r.URL.Path, "/folder/"):
		a = f.datastore(r, body)
	default:
		a = f.guests.file(r, body)
	}
	if fault.Drop == "after" {
		cut(w)
		return
	}
	f.send(w, a, fault)
}

func (f *front) perform(r *http.Request, method *simulator.Method, body []byte, fault *fault) answer {
	if !f.isLoggedIn(r) {
		return f.forward(r, body)
	}
	set := f.set()
	switch request := method.Body.(type) {
	case *types.HasPrivilegeOnEntities:
		return f.rights(request, set.Denied)
	case *types.CancelTask:
		return f.cancel(request)
	case *types.ListProcessesInGuest, *types.StartProgramInGuest, *types.TerminateProcessInGuest,
		*types.CreateTemporaryDirectoryInGuest, *types.DeleteDirectoryInGuest,
		*types.InitiateFileTransferFromGuest, *types.InitiateFileTransferToGuest:
		return f.guests.perform(method)
	}
	if strings.HasSuffix(method.Name, "_Task") && (set.TaskMs > 0 || fault.Task != "") &&
		simulator.Map.Get(method.This) != nil {
		return f.slowTask(r, method, body, set, fault)
	}
	if bytes.Contains(body, []byte("runtime.bootTime")) {
		noteBoots()
	}
	name, free := f.reserve(method)
	if !free {
		return f.slowTask(r, method, body, set, fault)
	}
	defer f.release(name)
	a := f.forward(r, body)
	if a.status == 200 {
		f.tools(method, set)
	}
	return a
}

// Files of a datastore: vcsim lets everybody, and in every directory; a host does not.
func (f *front) datastore(r *http.Request, body []byte) answer {
	if !f.isLoggedIn(r) {
		return answer{status: 401, body: []byte("not logged in")}
	}
	query := r.URL.Query()
	if r.Method != http.MethodPut || query.Get("dcPath") == "" || query.Get("dsName") == "" {
		return answer{status: 400, body: []byte("not a PUT of a file")}
	}
	where := path.Join(datastoreRoot(query.Get("dsName")), path.Dir(strings.TrimPrefix(r.URL.Path, "/folder/")))
	if info, err := os.Stat(where); err != nil || !info.IsDir() {
		return answer{status: 404, body: []byte("no such directory")}
	}
	a := f.forward(r, body)
	if a.status == 200 {
		a.status = 201
		a.header = http.Header{"Content-Type": {"text/html"}}
		a.body = []byte("<html><body>Created<br></body></html>")
	}
	return a
}

func datastoreRoot(name string) string {
	for _, one := range simulator.Map.All("Datastore") {
		if ds := one.(*simulator.Datastore); ds.Name == name {
			return ds.Info.GetDatastoreInfo().Url
		}
	}
	return "/nonexistent"
}

// The files of all datastores that are of novacore's, with their sizes.
func files() map[string]int64 {
	list := map[string]int64{}
	for _, one := range simulator.Map.All("Datastore") {
		root := one.(*simulator.Datastore).Info.GetDatastoreInfo().Url
		check(filepath.Walk(root, func(name string, info os.FileInfo, err error) error {
			if err == nil && strings.HasPrefix(name[len(root):], "/novacore-") {
				list[name[len(root)+1:]] = info.Size()
			}
			return nil
		}))
	}
	return list
}

func (f *front) cookie(r *http.Request) string {
	cookie, err := r.Cookie("vmware_soap_session")
	if err != nil {
		return ""
	}
	return cookie.Value
}

func (f *front) isLoggedIn(r *http.Request) bool {
	f.Lock()
	defer f.Unlock()
	cookie := f.cookie(r)
	return f.known[cookie] && !f.expired[cookie]
}

// To vcsim, as it came; but for sessions that the test has ended.
func (f *front) forward(r *http.Request, body []byte) answer {
	request, err := http.NewRequest(r.Method, "https://"+f.backend+r.URL.RequestURI(), bytes.NewReader(body))
	check(err)
	for name, values := range r.Header {
		request.Header[name] = values
	}
	f.Lock()
	if f.expired[f.cookie(r)] {
		request.Header.Del("Cookie")
	}
	f.Unlock()
	response, err := f.client.Do(request)
	if err != nil {
		return answer{status: 503, body: []byte("vcsim: " + err.Error())}
	}
	defer response.Body.Close()
	text, err := ioutil.ReadAll(response.Body)
	check(err)
	for _, cookie := range response.Cookies() {
		f.Lock()
		f.known[cookie.Value] = true
		f.Unlock()
	}
	return answer{status: response.StatusCode, header: response.Header, body: text}
}

func (f *front) rights(request *types.HasPrivilegeOnEntities, denied []string) answer {
	var inner strings.Builder
	for _, entity := range request.Entity {
		fmt.Fprintf(&inner, `<returnval><entity type="%s">%s</entity>`, entity.Type, entity.Value)
		for _, name := range request.PrivId {
			granted := true
			for _, one := range denied {
				granted = granted && one != name
			}
			fmt.Fprintf(&inner, `<privAvailability><privId>%s</privId><isGranted>%v</isGranted>`+
				`</privAvailability>`, name, granted)
		}
		inner.WriteString(`</returnval>`)
	}
	return result("HasPrivilegeOnEntities", inner.String())
}
