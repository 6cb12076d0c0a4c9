package main

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// bootTime passes between a host's power button and ESXi: a real one takes some minutes, of which a drill need not wait
// for all. It is longer than vSphere HA needs to restart the host's VMs elsewhere.
const bootTime = 60 * time.Second

// placementTimeout is how long a BMC waits for vCenter to say which guests run on its host.
const placementTimeout = 500 * time.Millisecond

// systemPath is where Redfish has the one computer of a BMC.
const systemPath = "/redfish/v1/Systems/1"

// BMC is the management controller of one ESXi host: Redfish (DMTF DSP0266) as far as a power button needs it. It has a
// container of its own, as a real one has a power supply of its own.
//
//	GET  /redfish/v1/Systems                                     one computer
//	GET  /redfish/v1/Systems/1                                   PowerState, UUID
//	POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset      {"ResetType": "ForceOff" or "On"}
//
// A host that is off has no guest that runs: its power state is Off once the container of the host has ended and those
// of all guests on it.
type BMC struct {
	host, user, password string
	engine               Engine
	placement            func(context.Context) ([]string, error) // names of the guests on the host
	boot                 time.Duration

	work sync.Mutex // one press of a button after the other

	mu      sync.Mutex
	guests  []string    // as last known
	booting *time.Timer // ends with ESXi's start; nil unless the button was pressed
	boots   int         // how often it was pressed: a start that was called off while it began is known by its number
}

// hostUUID is a host's SMBIOS UUID: vCenter and the host's BMC show the same.
func hostUUID(name string) string {
	return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(shortName(name))).String()
}

func (b *BMC) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /redfish/v1/Systems", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, map[string]any{"Name": "Systems", "Members": []any{map[string]string{"@odata.id": systemPath}}})
	})
	mux.HandleFunc("GET "+systemPath, b.getSystem)
	mux.HandleFunc("POST "+systemPath+"/Actions/ComputerSystem.Reset", b.reset)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(user), []byte(b.user))&
			subtle.ConstantTimeCompare([]byte(password), []byte(b.password)) == 0 {
			w.Header().Set("WWW-Authenticate", `Basic realm="Redfish"`)
			http.Error(w, "wrong user or password", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (b *BMC) getSystem(w http.ResponseWriter, r *http.Request) {
	off, err := b.isOff(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	state := "On"
	if off {
		state = "Off"
	}
	respond(w, map[string]any{
		"@odata.id": systemPath, "Id": "1", "Name": b.host, "UUID": hostUUID(b.host), "PowerState": state,
		"Actions": map[string]any{"#ComputerSystem.Reset": map[string]any{
			"target":                            systemPath + "/Actions/ComputerSystem.Reset",
			"ResetType@Redfish.AllowableValues": []string{"On", "ForceOff"},
		}},
	})
}

func (b *BMC) reset(w http.ResponseWriter, r *http.Request) {
	var body struct{ ResetType string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&body)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case body.ResetType == "ForceOff":
		// As at a real one, who has pressed the button asks afterwards what became of it; what is pressed next comes after it.
		b.work.Lock()
		go func() {
			defer b.work.Unlock()
			if err := b.powerOff(context.Background()); err != nil {
				log.Printf("BMC of %s: power off: %v", b.host, err)
			}
		}()
	case body.ResetType == "On":
		err = b.powerOn(r.Context())
	default:
		http.Error(w, fmt.Sprintf("ResetType %q is not offered", body.ResetType), http.StatusBadRequest)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// isOff says whether the host is off, and every guest with it.
func (b *BMC) isOff(ctx context.Context) (bool, error) {
	b.mu.Lock()
	booting := b.booting != nil
	b.mu.Unlock()
	if booting {
		return false, nil
	}
	alive, err := b.alive(ctx)
	return len(alive) == 0, err
}

// alive lists the containers that run on the host's power: its own and those of its guests.
func (b *BMC) alive(ctx context.Context) ([]Machine, error) {
	hosts, err := b.engine.Machines(ctx, kindESXi)
	if err != nil {
		return nil, err
	}
	guests, err := b.engine.Machines(ctx, kindGuest)
	if err != nil {
		return nil, err
	}
	here := b.guestsHere(ctx)
	runs := func(m Machine) bool { return m.State == stateRunning || m.State == statePaused }
	return slices.Concat(
		slices.DeleteFunc(hosts, func(m Machine) bool { return m.Name != b.host || !runs(m) }),
		slices.DeleteFunc(guests, func(m Machine) bool { return !slices.Contains(here, m.Name) || !runs(m) }),
	), nil
}

// guestsHere asks vCenter which guests run on the host. While vCenter does not answer nothing moves: they are the same.
func (b *BMC) guestsHere(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, placementTimeout)
	defer cancel()
	guests, err := b.placement(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.guests = guests
	}
	return b.guests
}

// powerOff pulls the plug: returns once the containers have been killed. The caller holds work.
func (b *BMC) powerOff(ctx context.Context) error {
	b.mu.Lock()
	if b.booting != nil {
		b.booting.Stop()
		b.booting = nil
	}
	b.mu.Unlock()
	alive, err := b.alive(ctx)
	if err != nil {
		return err
	}
	log.Printf("BMC of %s: power off, %d containers end", b.host, len(alive))
	failures := make([]error, len(alive))
	var group sync.WaitGroup
	for i, machine := range alive {
		group.Go(func() { failures[i] = b.engine.Kill(ctx, machine.ID, nil) })
	}
	group.Wait()
	return errors.Join(failures...)
}

// powerOn presses the power button: the host is on at once, and its container starts when ESXi would have booted.
func (b *BMC) powerOn(ctx context.Context) error {
	b.work.Lock()
	defer b.work.Unlock()
	if off, err := b.isOff(ctx); err != nil || !off {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.booting == nil {
		log.Printf("BMC of %s: power on, ESXi boots for %v", b.host, b.boot)
		b.boots++
		boot := b.boots
		b.booting = time.AfterFunc(b.boot, func() { b.booted(boot) })
	}
	return nil
}

// booted starts the host's container, unless it was powered off in the very moment in which it had booted.
func (b *BMC) booted(boot int) {
	b.work.Lock()
	defer b.work.Unlock()
	b.mu.Lock()
	current := b.booting != nil && b.boots == boot
	b.mu.Unlock()
	if !current {
		return
	}
	ctx := context.Background()
	hosts, err := b.engine.Machines(ctx, kindESXi)
	for _, machine := range hosts {
		if machine.Name == b.host {
			err = b.engine.Start(ctx, machine.ID)
		}
	}
	log.Printf("BMC of %s: ESXi has booted: %v", b.host, err)
	b.mu.Lock()
	b.booting = nil
	b.mu.Unlock()
}

// follow keeps what is known of the guests' places fresh until ctx ends.
func (b *BMC) follow(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		b.guestsHere(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// placementAt asks a lab API for the guests on a host.
func placementAt(url, host string) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/lab/status", nil)
		if err != nil {
			return nil, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		var status Status
		if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
			return nil, err
		}
		guests := []string{}
		for _, vm := range status.VMs {
			if vm.Host == host {
				guests = append(guests, vm.Name)
			}
		}
		return guests, nil
	}
}

// runBMC serves one host's BMC until ctx ends: `vcenter bmc -host=NAME …`.
func runBMC(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("bmc", flag.ContinueOnError)
	bmc := &BMC{}
	flags.StringVar(&bmc.host, "host", "", "short name of the ESXi host")
	flags.StringVar(&bmc.user, "user", "", "user who may log in")
	listen := flags.String("listen", "127.0.0.1:443", "address of Redfish (HTTPS)")
	lab := flags.String("lab", "perenne", "name of the lab: its containers carry the label perenne.lab=NAME")
	labAPI := flags.String("lab-api", "http://127.0.0.1:8080", "where vCenter has its lab API")
	speed := flags.Float64("ha-speed", 1, "divides the time that ESXi boots")
	passwordFile := flags.String("password-file", "", "file with the password of -user")
	certificate := flags.String("cert", "", "certificate chain, PEM")
	key := flags.String("key", "", "private key of -cert, PEM")
	err := flags.Parse(arguments)
	if err != nil {
		return err
	}
	if bmc.password, err = readSecret("-password-file", *passwordFile); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		return fmt.Errorf("-cert %q, -key %q: %w", *certificate, *key, err)
	}
	if bmc.engine, err = newDocker(ctx, *lab); err != nil {
		return err
	}
	bmc.boot = time.Duration(float64(bootTime) / *speed)
	bmc.placement = placementAt(*labAPI, bmc.host)
	go bmc.follow(ctx)
	server := &http.Server{
		Addr: *listen, Handler: bmc.handler(), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	log.Printf("BMC of %s listens on %s", bmc.host, *listen)
	if err := server.ListenAndServeTLS("", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
