// Command vcenter is the lab's vCenter Server: VMware's own simulator library (govmomi/simulator) plus what it lacks.
//
// What it adds, one file per noun: the whole cluster configuration (cluster.go), ESXi hosts that are containers
// (host.go) with virtual switches and VMkernel adapters (hostnetwork.go), iSCSI LUNs (hoststorage.go) and VMFS
// datastores on them (vmfs.go), virtual machines (vm.go) whose guests are containers (guests.go), vSphere HA (ha.go) and
// what it does with a host that is cut off (isolation.go), image lineage of what a content library deploys (library.go),
// the calls that clusters need of vSAN (vsan.go), and property collectors that several clients can wait on at once
// (collector.go). As `vcenter bmc` the same program is the management controller of one ESXi host (bmc.go). Methods that
// the simulator's own types lack, or answer too thinly, are sent to these files by methods.go.
//
// Not simulated: DRS load balancing (rules are kept, and honoured by HA and by maintenance mode; VMs stay where HA put
// them), partitions in which several hosts still reach each other, reactions to lost datastores (their settings are
// kept), storage vMotion of files, snapshots' contents, suspended VMs, contention for resources. A change of guestinfo.*
// does not reach a guest whose container exists. The inventory lives in memory: it ends with the process, and the lab
// then builds its stack anew.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds | log.LUTC)
	if len(os.Args) > 1 && os.Args[1] == "bmc" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		if err := runBMC(ctx, os.Args[2:]); err != nil {
			log.Fatal(err)
		}
		return
	}
	config, err := parseFlags(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	engine, err := newEngine(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	vcenter, err := Start(ctx, config, engine)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("vCenter listens on %s, the lab API on %s", config.Listen, config.LabListen)
	<-ctx.Done()
	vcenter.Close() // guests and hosts go on without their vCenter, as real ones do
}

// newEngine is the engine that the command line names.
func newEngine(ctx context.Context, config Config) (Engine, error) {
	if config.NoEngine {
		return noEngine{}, nil
	}
	return newDocker(ctx, config.Lab)
}

// parseFlags reads the command line. Secrets come from files, never from arguments.
func parseFlags(arguments []string) (Config, error) {
	config := Config{Images: images{}, LocalDatastores: map[string]string{}}
	flags := flag.NewFlagSet("vcenter", flag.ContinueOnError)
	flags.StringVar(&config.Listen, "listen", "127.0.0.1:443", "address of the vSphere API (HTTPS)")
	flags.StringVar(&config.LabListen, "lab-listen", "127.0.0.1:8080", "address of the lab API (plain HTTP)")
	flags.StringVar(&config.Lab, "lab", "perenne", "name of the lab: its containers carry the label perenne.lab=NAME")
	flags.StringVar(&config.User, "user", "administrator@vsphere.local", "user who may log in")
	flags.StringVar(&config.State, "state", os.TempDir(), "directory for the files of datastores")
	flags.Float64Var(&config.HASpeed, "ha-speed", 1, "divides every delay of vSphere HA")
	flags.Int64Var(&config.HostMemory, "host-memory", 16<<30, "memory of every ESXi host, bytes")
	flags.IntVar(&config.HostCPUs, "host-cpus", 8, "cores of every ESXi host")
	flags.Var(config.Images, "image", "NAME=IMAGE: the container image of VMs made from template or library item NAME"+
		" (* is any other); repeatable")
	engine := flags.String("engine", "docker", "what hosts and guests are containers of; none: there are no hosts and guests")
	flags.StringVar(&config.Fencing.User, "fencing-user", "", "further user who may log in: the fencing agents'")
	fencingPasswordFile := flags.String("fencing-password-file", "", "file with the password of -fencing-user")
	flags.Func("local-datastore", "HOST=NAME: the datastore that ESXi's installer made on a host's own disk; repeatable",
		func(value string) error {
			host, name, found := strings.Cut(value, "=")
			if !found || host == "" || name == "" {
				return fmt.Errorf("%q is not HOST=NAME", value)
			}
			config.LocalDatastores[host] = name
			return nil
		})
	passwordFile := flags.String("password-file", "", "file with the password of -user")
	hostPasswordFile := flags.String("esxi-password-file", "", "file with the password of root on every ESXi host")
	certificate := flags.String("cert", "", "certificate chain, PEM")
	key := flags.String("key", "", "private key of -cert, PEM")
	if err := flags.Parse(arguments); err != nil {
		return config, err
	}
	if *engine != "docker" && *engine != "none" {
		return config, fmt.Errorf("-engine %q: must be docker or none", *engine)
	}
	config.NoEngine = *engine == "none"
	if config.HASpeed <= 0 {
		return config, fmt.Errorf("-ha-speed %v: must be more than 0", config.HASpeed)
	}
	var err error
	if config.Password, err = readSecret("-password-file", *passwordFile); err != nil {
		return config, err
	}
	if config.Fencing.User != "" {
		if config.Fencing.Password, err = readSecret("-fencing-password-file", *fencingPasswordFile); err != nil {
			return config, err
		}
	}
	if *hostPasswordFile != "" {
		if config.HostPassword, err = readSecret("-esxi-password-file", *hostPasswordFile); err != nil {
			return config, err
		}
	}
	if config.Certificate, err = tls.LoadX509KeyPair(*certificate, *key); err != nil {
		return config, fmt.Errorf("-cert %q, -key %q: %w", *certificate, *key, err)
	}
	return config, nil
}

// readSecret returns a file's content without its final newline.
func readSecret(name, path string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	secret := strings.TrimRight(string(content), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s: %s is empty", name, path)
	}
	return secret, nil
}

// images maps the name of a template or content library item to a container image; "*" stands for any other.
type images map[string]string

// String implements flag.Value.
func (i images) String() string { return fmt.Sprint(map[string]string(i)) }

// Set implements flag.Value.
func (i images) Set(value string) error {
	name, image, found := strings.Cut(value, "=")
	if !found || name == "" || image == "" {
		return fmt.Errorf("%q is not NAME=IMAGE", value)
	}
	i[name] = image
	return nil
}

// of returns the image for a VM by its lineage, nearest ancestor first; empty when none is known.
func (i images) of(lineage []string) string {
	for _, name := range lineage {
		if image, ok := i[name]; ok {
			return image
		}
	}
	return i["*"]
}
