package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// serveVSAN answers /vsanHealth. This site has no vSAN, but newer providers reconfigure and read it with every cluster:
// each request is answered as a vCenter does whose clusters have vSAN off. (The library's own vSAN simulator panics on
// the provider's reconfigure, and its CNS simulator claims the same path.)
func (v *VCenter) serveVSAN(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var answer string
	switch body := string(request); {
	case strings.Contains(body, "VsanClusterReconfig"):
		ctx := v.context()
		root := ctx.Map.SearchIndex().Reference()
		task := simulator.CreateTask(root, "vsanReconfig",
			func(*simulator.Task) (types.AnyType, types.BaseMethodFault) { return nil, nil }).Run(ctx)
		answer = `<VsanClusterReconfigResponse xmlns="urn:vsan"><returnval type="Task">` + task.Value +
			`</returnval></VsanClusterReconfigResponse>`
	case strings.Contains(body, "VsanClusterGetConfig"):
		answer = `<VsanClusterGetConfigResponse xmlns="urn:vsan"><returnval><enabled>false</enabled></returnval>` +
			`</VsanClusterGetConfigResponse>`
	case strings.Contains(body, "VSANVcGetWitnessHosts"):
		answer = `<VSANVcGetWitnessHostsResponse xmlns="urn:vsan"></VSANVcGetWitnessHostsResponse>`
	default:
		log.Printf("vSAN: a call that this vCenter does not know: %.300s", body)
		http.Error(w, "not implemented: this site has no vSAN", http.StatusNotImplemented)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>`+
		`<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" `+
		`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>%s</soapenv:Body></soapenv:Envelope>`, answer)
}
