package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const vm = "urn:pulumi:dev::perenne::vsphere:index/virtualMachine:VirtualMachine::db01"

func TestSchemaIsTheCommittedOne(t *testing.T) {
	committed, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	known, err := json.MarshalIndent(inventoryOf(providerInfo()), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(committed)) != string(known) {
		t.Error("schema.json is out of date: run python -m offline.vsphere_gap PLUGIN")
	}
}

// bridge stands for tfbridge: it answers with the inputs that reach it.
type bridge struct {
	pulumirpc.UnimplementedResourceProviderServer
}

func (bridge) Check(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: req.News}, nil
}

var options = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, KeepOutputValues: true}

func check(t *testing.T, s *server, urn string, inputs resource.PropertyMap) (resource.PropertyMap, error) {
	t.Helper()
	news, err := plugin.MarshalProperties(inputs, options)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Check(context.Background(), &pulumirpc.CheckRequest{Urn: urn, News: news})
	if err != nil {
		return nil, err
	}
	kept, err := plugin.UnmarshalProperties(resp.Inputs, options)
	if err != nil {
		t.Fatal(err)
	}
	return kept, nil
}

func serverUnderTest() (*server, *[]string) {
	var warnings []string
	log := func(_ context.Context, severity diag.Severity, urn resource.URN, message string) error {
		if severity == diag.Warning && urn == vm {
			warnings = append(warnings, message)
		}
		return nil
	}
	return newServer(bridge{}, inventoryOf(providerInfo()), log, nil), &warnings
}

func TestUnknownInputsAreTakenOutWithOneWarning(t *testing.T) {
	s, warnings := serverUnderTest()
	nic := func(properties map[string]any) resource.PropertyMap {
		return resource.NewPropertyMapFromMap(properties)
	}
	inputs := resource.PropertyMap{
		"name":  resource.NewStringProperty("db01"),
		"vtpm":  resource.NewObjectProperty(nic(map[string]any{"version": "2.0"})),
		"clone": resource.MakeSecret(resource.NewObjectProperty(nic(map[string]any{"templateUuid": "u", "customizationSpec": "c"}))),
		"networkInterfaces": resource.NewArrayProperty([]resource.PropertyValue{
			resource.NewObjectProperty(nic(map[string]any{"networkId": "network-7", "physicalFunction": "0000:00:00.0"})),
		}),
		"extraConfig": resource.NewObjectProperty(nic(map[string]any{"guestinfo.metadata": "any key"})),
		"memory":      resource.MakeComputed(resource.NewStringProperty("")),
		"__defaults":  resource.NewArrayProperty(nil),
	}
	want := inputs.Copy()
	delete(want, "vtpm")
	want["clone"] = resource.MakeSecret(resource.NewObjectProperty(nic(map[string]any{"templateUuid": "u"})))
	want["networkInterfaces"] = resource.NewArrayProperty([]resource.PropertyValue{
		resource.NewObjectProperty(nic(map[string]any{"networkId": "network-7"})),
	})

	for range 2 { // a replacement checks twice
		got, err := check(t, s, vm, inputs)
		if err != nil {
			t.Fatal(err)
		}
		if !got.DeepEquals(want) {
			t.Errorf("reached the bridge: %v, want %v", got, want)
		}
	}
	if len(*warnings) != 1 {
		t.Fatalf("warnings: %q, want one", *warnings)
	}
	names := "not exercised: clone.customizationSpec, networkInterfaces[0].physicalFunction, vtpm: "
	if !strings.HasPrefix((*warnings)[0], names) {
		t.Errorf("warning %q doesn't begin with %q", (*warnings)[0], names)
	}
}

func TestKnownInputsPassInSilence(t *testing.T) {
	s, warnings := serverUnderTest()
	inputs := resource.NewPropertyMapFromMap(map[string]any{
		"cdroms": []any{map[string]any{"clientDevice": true}},
	})
	got, err := check(t, s, vm, inputs)
	if err != nil {
		t.Fatal(err)
	}
	if !got.DeepEquals(inputs) || len(*warnings) != 0 {
		t.Errorf("got %v with warnings %q", got, *warnings)
	}
}

func TestUnknownResourceTypeIsRefused(t *testing.T) {
	s, _ := serverUnderTest()
	_, err := check(t, s, "urn:pulumi:dev::perenne::vsphere:index/zone:Zone::z", resource.PropertyMap{})
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "vsphere:index/zone:Zone") {
		t.Errorf("got %v", err)
	}
}
