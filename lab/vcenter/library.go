package main

import (
	"bytes"
	"encoding/json"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"

	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Lineage: which templates and library items a VM came from. It chooses the VM's container image, so that a VM needs no
// setting that a real vCenter would not know.

// expectLineage announces a VM that is about to be created under this name.
func (v *VCenter) expectLineage(vmName string, lineage []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.awaited[vmName] = lineage
}

// completeVM lets the lab see a VM that has got its name, and gives it the lineage announced for that.
func (v *VCenter) completeVM(vm, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.created[vm] = true
	if lineage, ok := v.awaited[name]; ok {
		v.lineage[vm] = lineage
		delete(v.awaited, name)
	}
}

// forgetVM is told of a VM that has been destroyed.
func (v *VCenter) forgetVM(vm string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.created, vm)
	delete(v.lineage, vm)
}

// lineageOf lists what a VM came from, nearest first.
func (v *VCenter) lineageOf(vm types.ManagedObjectReference) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.lineage[vm.Value]
}

// ovfMethods are the methods of OvfManager that the lab adds or replaces.
type ovfMethods struct {
	stub
	vcenter *VCenter
}

// CreateImportSpec precedes every deployment of an OVF: the VM comes from the virtual system that it describes.
func (m *ovfMethods) CreateImportSpec(ctx *simulator.Context, req *types.CreateImportSpec) soap.HasFault {
	if envelope, err := ovf.Unmarshal(bytes.NewBufferString(req.OvfDescriptor)); err == nil && envelope.VirtualSystem != nil {
		lineage := []string{}
		if name := envelope.VirtualSystem.Name; name != nil && *name != "" {
			lineage = append(lineage, *name)
		}
		m.vcenter.expectLineage(req.Cisp.GetOvfCreateImportSpecParams().EntityName,
			slices.Compact(append(lineage, envelope.VirtualSystem.ID)))
	}
	manager := ctx.Map.Get(req.This).(*simulator.OvfManager)
	return manager.CreateImportSpec(ctx, req)
}

// sessionHeader carries the session of a client of the REST API.
const sessionHeader = "vmware-api-session-id"

// serveLibraryUploads lets in uploads of library files: an upload's address, made for it alone, is its ticket, as in a
// real vCenter. The simulator asks for the user's session too, which older clients don't send along.
func (v *VCenter) serveLibraryUploads(mux *http.ServeMux) {
	mux.HandleFunc("PUT /rest/com/vmware/cis/data/{ticket}/{file}", func(w http.ResponseWriter, r *http.Request) {
		inner, _ := mux.Handler(&http.Request{Method: http.MethodPut, URL: &url.URL{Path: "/rest/"}})
		login := httptest.NewRequest(http.MethodPost, "/rest/com/vmware/cis/session", nil)
		login.SetBasicAuth(v.config.User, v.config.Password)
		recorder := httptest.NewRecorder()
		inner.ServeHTTP(recorder, login)
		var session string
		if err := unwrap(recorder.Body.Bytes(), &session); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		r.Header.Set(sessionHeader, session)
		inner.ServeHTTP(w, r)
	})
}

// deployedItem finds the library item in the path of a deployment, in the older (/rest) and the newer (/api) form.
var deployedItem = regexp.MustCompile(`/ovf/library-item/(?:id:)?([^/?:]+)$`)

// serveLibraryDeployments watches content library deployments go by, to learn which item a VM came from.
func (v *VCenter) serveLibraryDeployments(mux *http.ServeMux) {
	for _, path := range []string{"/rest/com/vmware/vcenter/ovf/library-item/", "/api/vcenter/ovf/library-item/"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			inner, _ := mux.Handler(&http.Request{Method: r.Method, URL: &url.URL{Path: "/rest/"}})
			recorder := httptest.NewRecorder()
			inner.ServeHTTP(recorder, r)
			if match := deployedItem.FindStringSubmatch(r.URL.Path); match != nil {
				v.noteDeployment(inner, r, match[1], recorder.Body.Bytes())
			}
			for name, values := range recorder.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(recorder.Code)
			_, _ = w.Write(recorder.Body.Bytes())
		})
	}
}

// noteDeployment puts the library item's name first in the deployed VM's lineage.
func (v *VCenter) noteDeployment(api http.Handler, request *http.Request, item string, response []byte) {
	var answer struct {
		ResourceID *struct {
			Type string `json:"type"`
			ID   string `json:"id"`
		} `json:"resource_id"`
	}
	if unwrap(response, &answer) != nil || answer.ResourceID == nil || answer.ResourceID.Type != "VirtualMachine" {
		return
	}
	vm := answer.ResourceID.ID
	name, err := libraryItemName(api, request, item)
	if err != nil {
		log.Printf("library item %s: %v", item, err)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lineage[vm] = append([]string{name}, v.lineage[vm]...)
}

// libraryItemName asks the library itself, in the session of the request.
func libraryItemName(api http.Handler, request *http.Request, item string) (string, error) {
	query := httptest.NewRequest(http.MethodGet, "/rest/com/vmware/content/library/item/id:"+item, nil)
	query.Header = request.Header
	recorder := httptest.NewRecorder()
	api.ServeHTTP(recorder, query)
	var answer struct {
		Name string `json:"name"`
	}
	err := unwrap(recorder.Body.Bytes(), &answer)
	return answer.Name, err
}

// unwrap reads an answer of the REST API: the older form has it under "value".
func unwrap(response []byte, answer any) error {
	var older struct {
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(response, &older); err != nil {
		return err
	}
	if older.Value != nil {
		response = older.Value
	}
	return json.Unmarshal(response, answer)
}
