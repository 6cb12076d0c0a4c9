// Command pulumi-resource-vsphere is Pulumi's vsphere plugin for networks where the official one can't be downloaded.
//
// The official plugin wraps HashiCorp's provider through pulumi-terraform-bridge. This one wraps an older release of
// that provider, which the Go module registries serve, through the same bridge, under the same tokens and property
// names. What the official SDK can say and the older release doesn't know is listed in not-exercised.json; see
// unknown.go for what happens when a program says it.
//
// The engine runs it with its own address as the only argument. With -schema it prints, as JSON, the resource types,
// functions and input properties that it knows.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/hashicorp/terraform-plugin-sdk/helper/schema"
	"github.com/hashicorp/terraform-provider-vsphere/vsphere"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shimv1 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v1"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/cmdutil"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

const (
	pkg = "vsphere"
	// version is the one of the SDK (pulumi_vsphere on PyPI) whose tokens and properties are answered.
	version = "4.18.2"
	// upstream is the wrapped release; go.mod holds the same version.
	upstream = "terraform-provider-vsphere v1.26.0"
)

func main() {
	info := providerInfo()
	if len(os.Args) == 2 && os.Args[1] == "-schema" {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(inventoryOf(info)); err != nil {
			cmdutil.ExitError(err.Error())
		}
		return
	}

	ctx := context.Background()
	info.P.InitLogging(ctx)
	// provider.Main ends the server on SIGINT once the calls under way have returned, and when the engine is gone.
	err := provider.Main(pkg, func(host *provider.HostClient) (pulumirpc.ResourceProviderServer, error) {
		// The schema is only read by programs in Pulumi YAML and by type checks; the name and version suffice here.
		bridge := tfbridge.NewProvider(ctx, host, pkg, version, info.P, info, []byte(`{"name":"vsphere","version":"4.18.2"}`))
		return newServer(bridge, inventoryOf(info), host.Log, info.P.Stop), nil
	})
	if err != nil {
		cmdutil.ExitError(err.Error())
	}
}

// providerInfo maps the wrapped provider as pulumi-vsphere's own resources.go does: standard tokens in one module, and
// physical names made of the logical name, a hyphen and random digits unless the program gives a name.
func providerInfo() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:       shimv1.NewProvider(vsphere.Provider().(*schema.Provider)),
		Name:    pkg,
		Version: version,
		// The bridge keeps aliases of renamed tokens here; nothing was renamed.
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		Resources: map[string]*tfbridge.ResourceInfo{
			// Newer releases allow two CD-ROM drives, so the SDK sends a list.
			"vsphere_virtual_machine": {Fields: map[string]*tfbridge.SchemaInfo{
				"cdrom": {Name: "cdroms", MaxItemsOne: tfbridge.False()},
			}},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"vsphere_storage_policy": {Tok: tfbridge.MakeDataSource(pkg, "index", "getPolicy")},
		},
	}
	info.MustComputeTokens(tokens.SingleModule("vsphere_", "index", tokens.MakeStandard(pkg)))
	info.SetAutonaming(255, "-")
	return info
}
