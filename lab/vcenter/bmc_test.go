package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// newTestBMC is the BMC of psexi04, on which guests of these names run.
func newTestBMC(t *testing.T, guests ...string) (*BMC, *fakeEngine, *httptest.Server) {
	t.Helper()
	engine := newFakeEngine("psexi03", "psexi04")
	for _, name := range append([]string{"elsewhere"}, guests...) {
		id, err := engine.CreateGuest(context.Background(), GuestSpec{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.Start(context.Background(), id); err != nil {
			t.Fatal(err)
		}
	}
	bmc := &BMC{
		host: "psexi04", user: "fencing", password: testPassword, engine: engine, boot: time.Millisecond,
		placement: func(context.Context) ([]string, error) { return guests, nil },
	}
	server := httptest.NewServer(bmc.handler())
	t.Cleanup(server.Close)
	return bmc, engine, server
}

func redfish(t *testing.T, server *httptest.Server, method, path, body, password string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("fencing", password)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := map[string]any{}
	_ = json.NewDecoder(response.Body).Decode(&answer)
	return response.StatusCode, answer
}

func powerState(t *testing.T, server *httptest.Server) string {
	t.Helper()
	_, system := redfish(t, server, "GET", systemPath, "", testPassword)
	state, _ := system["PowerState"].(string)
	return state
}

func press(t *testing.T, server *httptest.Server, kind string) int {
	t.Helper()
	status, _ := redfish(t, server, "POST", systemPath+"/Actions/ComputerSystem.Reset", `{"ResetType": "`+kind+`"}`, testPassword)
	return status
}

func TestBMCPowersAHostOffWithEveryGuestOnIt(t *testing.T) {
	_, engine, server := newTestBMC(t, "db01", "app02")
	engine.set(kindGuest, "app02", statePaused)
	if state := powerState(t, server); state != "On" {
		t.Fatalf("PowerState %q before", state)
	}
	if status := press(t, server, "ForceOff"); status != http.StatusNoContent {
		t.Fatalf("status %d", status)
	}
	awaitPower(t, server, "Off")
	for _, name := range []string{"db01", "app02"} {
		if guest, _ := engine.guest(name); guest.State != stateExited {
			t.Errorf("guest %s is %s", name, guest.State)
		}
	}
	if guest, _ := engine.guest("elsewhere"); guest.State != stateRunning {
		t.Errorf("a guest of another host is %s", guest.State)
	}
}

func TestBMCDoesNotCallAHostOffWhoseGuestStillRuns(t *testing.T) {
	_, engine, server := newTestBMC(t, "db01")
	engine.crash(kindESXi, "psexi04", 137)
	if state := powerState(t, server); state != "On" {
		t.Errorf("PowerState %q while db01 runs", state)
	}
	engine.crash(kindGuest, "db01", 137)
	if state := powerState(t, server); state != "Off" {
		t.Errorf("PowerState %q when all has ended", state)
	}
}

func TestBMCRemembersTheGuestsWhileVCenterIsSilent(t *testing.T) {
	bmc, engine, server := newTestBMC(t, "db01")
	powerState(t, server)
	bmc.placement = func(context.Context) ([]string, error) { return nil, errors.New("silent") }
	press(t, server, "ForceOff")
	awaitPower(t, server, "Off")
	if guest, _ := engine.guest("db01"); guest.State != stateExited {
		t.Errorf("guest db01 is %s", guest.State)
	}
}

// awaitPower waits for a power state, as who has pressed a button does.
func awaitPower(t *testing.T, server *httptest.Server, state string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); powerState(t, server) != state; {
		if time.Now().After(deadline) {
			t.Fatalf("PowerState is not %s after 5 s", state)
		}
	}
}

func TestBMCPowersAHostOnThatThenBoots(t *testing.T) {
	bmc, engine, server := newTestBMC(t)
	press(t, server, "ForceOff")
	bmc.boot = time.Hour
	press(t, server, "On")
	if state := powerState(t, server); state != "On" {
		t.Errorf("PowerState %q while it boots", state)
	}
	press(t, server, "ForceOff")
	awaitPower(t, server, "Off")
	bmc.boot = time.Millisecond
	press(t, server, "On")
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if machines, _ := engine.Machines(context.Background(), kindESXi); stateOf(machines, "psexi04") == stateRunning {
			return
		}
	}
	t.Error("its container does not run after 10 s")
}

func TestBMCDoesNotStartAHostWhoseStartWasCalledOffInItsLastMoment(t *testing.T) {
	bmc, engine, server := newTestBMC(t)
	press(t, server, "ForceOff")
	bmc.boot = time.Hour
	press(t, server, "On")
	press(t, server, "ForceOff")
	awaitPower(t, server, "Off")
	bmc.booted(bmc.boots) // its timer had fired just before
	machines, err := engine.Machines(context.Background(), kindESXi)
	if state := stateOf(machines, "psexi04"); err != nil || state == stateRunning {
		t.Errorf("the host is %s, %v", state, err)
	}
}

func stateOf(machines []Machine, name string) string {
	for _, machine := range machines {
		if machine.Name == name {
			return machine.State
		}
	}
	return ""
}

func TestBMCRefusesStrangersAndWhatItDoesNotOffer(t *testing.T) {
	_, engine, server := newTestBMC(t)
	if status, _ := redfish(t, server, "GET", systemPath, "", "guess"); status != http.StatusUnauthorized {
		t.Errorf("status %d for a wrong password", status)
	}
	if status := press(t, server, "Nmi"); status != http.StatusBadRequest {
		t.Errorf("status %d for Nmi", status)
	}
	if machines, _ := engine.Machines(context.Background(), kindESXi); stateOf(machines, "psexi04") != stateRunning {
		t.Error("the host does not run any more")
	}
}

func TestBMCAndVCenterShowTheSameUUID(t *testing.T) {
	b := newBench(t, "psexi04")
	b.addCluster("psexi04")
	_, _, server := newTestBMC(t)
	_, system := redfish(t, server, "GET", systemPath, "", testPassword)
	summary := b.vcenter.host(b.vcenter.context(), "psexi04").Summary
	if system["UUID"] != summary.Hardware.Uuid {
		t.Errorf("BMC %v, vCenter %v", system["UUID"], summary.Hardware.Uuid)
	}
}

func TestPlacementIsReadFromTheLabAPI(t *testing.T) {
	b := newBench(t, "psexi03", "psexi04")
	b.addCluster("psexi03", "psexi04")
	b.addDatastore("san")
	b.addVM("db01", "psexi04", 512)
	b.addVM("wit01", "psexi03", 512)
	guests, err := placementAt("http://"+b.vcenter.config.LabListen, "psexi04")(context.Background())
	b.must(err)
	if strings.Join(guests, " ") != "db01" {
		t.Errorf("guests %v", guests)
	}
}
