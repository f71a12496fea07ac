// SPDX-License-Identifier: MIT
// Is a request exactly what the API's definition allows? It is read into govmomi's types, which are
// made from VMware's own description, and written again: what is unknown got lost on the way, what is
// required and missing came up, what stands in another order moved. vcsim itself looks at none of it.
package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	vim "github.com/vmware/govmomi/vim25/xml"
)

func decode(r *http.Request, body []byte) (*simulator.Method, error) {
	if r.Method != http.MethodPost {
		return nil, errors.New("only POST")
	}
	method, err := simulator.UnmarshalBody(types.TypeFunc(), body)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(r.Header.Get("SOAPAction"), `"urn:vim25/`) {
		return method, fmt.Errorf("SOAPAction %s", r.Header.Get("SOAPAction"))
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "text/xml") {
		return method, fmt.Errorf("Content-Type %s", r.Header.Get("Content-Type"))
	}
	return method, compare(method, body)
}

func compare(method *simulator.Method, body []byte) error {
	var again bytes.Buffer
	encoder := vim.NewEncoder(&again)
	start := vim.StartElement{Name: vim.Name{Local: method.Name}}
	if err := encoder.EncodeElement(method.Body, start); err != nil {
		return err
	}
	if err := encoder.Flush(); err != nil {
		return err
	}
	given, spaces := tokens(body, method.Name)
	wanted, _ := tokens(again.Bytes(), method.Name)
	if spaces != "" {
		return fmt.Errorf("elements of the namespace '%s'", spaces)
	}
	for i := 0; i < len(given) || i < len(wanted); i++ {
		a, b := "nothing more", "nothing more"
		if i < len(given) {
			a = given[i]
		}
		if i < len(wanted) {
			b = wanted[i]
		}
		if a != b {
			return fmt.Errorf("%s where %s belongs", a, b)
		}
	}
	return nil
}

// The elements from `name` on, and a namespace that is not the API's if there is one.
func tokens(text []byte, name string) (list []string, other string) {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	inside := false
	for {
		token, err := decoder.Token()
		if err == io.EOF || err != nil {
			return list, other
		}
		switch t := token.(type) {
		case xml.StartElement:
			inside = inside || t.Name.Local == name
			if !inside {
				continue
			}
			if t.Name.Space != "urn:vim25" {
				other = t.Name.Space
			}
			one := "<" + t.Name.Local
			for _, attribute := range t.Attr {
				if attribute.Name.Local != "type" {
					continue
				}
				kind := attribute.Value[strings.Index(attribute.Value, ":")+1:]
				if attribute.Name.Space == "" {
					one += " type=" + kind
				} else {
					one += " xsi:type=" + kind
				}
			}
			list = append(list, one+">")
		case xml.EndElement:
			if inside {
				list = append(list, "</"+t.Name.Local+">")
			}
			if t.Name.Local == name {
				return list, other
			}
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); inside && text != "" {
				list = append(list, text)
			}
		}
	}
}
