package main

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
)

// serveTagCategories drops the namespace from the types that a category is for: clients send urn:vim25:VirtualMachine, and
// a real vCenter shows VirtualMachine. The simulator would give back what it got, which clients take for a change.
func (v *VCenter) serveTagCategories(mux *http.ServeMux) {
	for _, path := range []string{"/rest/com/vmware/cis/tagging/category", "/rest/com/vmware/cis/tagging/category/"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			body = bytes.ReplaceAll(body, []byte(`"urn:vim25:`), []byte(`"`))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			inner, _ := mux.Handler(&http.Request{Method: r.Method, URL: &url.URL{Path: "/rest/"}})
			inner.ServeHTTP(w, r)
		})
	}
}
