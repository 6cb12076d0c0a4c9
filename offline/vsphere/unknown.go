package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// object holds the properties of a nested block by their Pulumi names; a property without properties of its own
// (a scalar, a list of scalars, a free-form map) is nil.
type object map[string]object

// inventory is what the wrapped provider takes, by Pulumi token.
type inventory struct {
	Config    object            `json:"config"`
	Resources map[string]object `json:"resources"`
	Functions map[string]object `json:"functions"`
}

func inventoryOf(info tfbridge.ProviderInfo) inventory {
	known := inventory{
		Config:    inputsOf(info.P.Schema(), info.Config),
		Resources: map[string]object{},
		Functions: map[string]object{},
	}
	for name, r := range info.Resources {
		known.Resources[string(r.Tok)] = inputsOf(info.P.ResourcesMap().Get(name).Schema(), r.Fields)
	}
	for name, f := range info.DataSources {
		known.Functions[string(f.Tok)] = inputsOf(info.P.DataSourcesMap().Get(name).Schema(), f.Fields)
	}
	return known
}

// inputsOf leaves out the properties that only the provider sets: a program that sets one means a newer release, in
// which it became an input.
func inputsOf(schemas shim.SchemaMap, infos map[string]*tfbridge.SchemaInfo) object {
	all := objectOf(schemas, infos)
	schemas.Range(func(key string, s shim.Schema) bool {
		if s.Computed() && !s.Optional() {
			delete(all, tfbridge.TerraformToPulumiNameV2(key, schemas, infos))
		}
		return true
	})
	return all
}

func objectOf(schemas shim.SchemaMap, infos map[string]*tfbridge.SchemaInfo) object {
	properties := object{}
	schemas.Range(func(key string, s shim.Schema) bool {
		var nested object
		if block, ok := s.Elem().(shim.Resource); ok && s.Type() != shim.TypeMap {
			var fields map[string]*tfbridge.SchemaInfo
			if info := infos[key]; info != nil && info.Elem != nil {
				fields = info.Elem.Fields
			}
			nested = objectOf(block.Schema(), fields)
		}
		properties[tfbridge.TerraformToPulumiNameV2(key, schemas, infos)] = nested
		return true
	})
	return properties
}

// server is the bridge, except that inputs which the wrapped provider doesn't know are taken out with a warning on the
// resource. The bridge alone would refuse the whole resource.
type server struct {
	pulumirpc.ResourceProviderServer
	known inventory
	log   func(ctx context.Context, severity diag.Severity, urn resource.URN, message string) error
	stop  func(context.Context) error

	mutex  sync.Mutex
	warned map[string]bool // by resource and message: a replacement checks the same inputs twice
}

func newServer(
	bridge pulumirpc.ResourceProviderServer,
	known inventory,
	log func(context.Context, diag.Severity, resource.URN, string) error,
	stop func(context.Context) error,
) *server {
	return &server{ResourceProviderServer: bridge, known: known, log: log, stop: stop, warned: map[string]bool{}}
}

// CheckConfig checks the provider's own configuration, in which the engine keeps its choice of plugin too.
func (s *server) CheckConfig(ctx context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	known := maps.Clone(s.known.Config)
	known["version"], known["pluginDownloadURL"] = nil, nil
	news, err := s.exercised(ctx, resource.URN(req.GetUrn()), req.GetNews(), known)
	if err != nil {
		return nil, err
	}
	req.News = news
	return s.ResourceProviderServer.CheckConfig(ctx, req)
}

// Check checks a resource's inputs, before every preview, creation and update.
func (s *server) Check(ctx context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	urn := resource.URN(req.GetUrn())
	known, ok := s.known.Resources[string(urn.Type())]
	if !ok {
		return nil, missing("resource type", string(urn.Type()))
	}
	news, err := s.exercised(ctx, urn, req.GetNews(), known)
	if err != nil {
		return nil, err
	}
	req.News = news
	return s.ResourceProviderServer.Check(ctx, req)
}

// Invoke calls a function (a data source of the wrapped provider).
func (s *server) Invoke(ctx context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	known, ok := s.known.Functions[req.GetTok()]
	if !ok {
		return nil, missing("function", req.GetTok())
	}
	args, err := s.exercised(ctx, "", req.GetArgs(), known)
	if err != nil {
		return nil, err
	}
	req.Args = args
	return s.ResourceProviderServer.Invoke(ctx, req)
}

// Cancel asks the operations under way to end; the engine calls it when the user presses Ctrl-C.
func (s *server) Cancel(ctx context.Context, _ *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, s.stop(ctx)
}

func missing(kind, token string) error {
	return status.Errorf(codes.Unimplemented,
		"the offline vsphere plugin wraps %s, which has no %s %s; the official plugin has it", upstream, kind, token)
}

// exercised returns the properties that are known, after a warning that names the others.
func (s *server) exercised(
	ctx context.Context, urn resource.URN, properties *structpb.Struct, known object,
) (*structpb.Struct, error) {
	all := plugin.MarshalOptions{
		KeepUnknowns: true, KeepSecrets: true, KeepResources: true, KeepOutputValues: true,
	}
	values, err := plugin.UnmarshalProperties(properties, all)
	if err != nil {
		return nil, err
	}
	var unknown []string
	kept := prune(resource.NewObjectProperty(values), known, "", &unknown)
	if len(unknown) == 0 {
		return properties, nil
	}
	s.warn(ctx, urn, unknown)
	return plugin.MarshalProperties(kept.ObjectValue(), all)
}

// prune returns the value without the properties that are not known, whose paths it appends to unknown.
func prune(value resource.PropertyValue, known object, path string, unknown *[]string) resource.PropertyValue {
	switch {
	case known == nil:
		return value
	case value.IsSecret():
		return resource.MakeSecret(prune(value.SecretValue().Element, known, path, unknown))
	case value.IsOutput():
		output := value.OutputValue()
		output.Element = prune(output.Element, known, path, unknown)
		return resource.NewOutputProperty(output)
	case value.IsArray():
		var elements []resource.PropertyValue
		for i, element := range value.ArrayValue() {
			elements = append(elements, prune(element, known, fmt.Sprintf("%s[%d]", path, i), unknown))
		}
		return resource.NewArrayProperty(elements)
	case value.IsObject():
		kept := resource.PropertyMap{}
		for key, property := range value.ObjectValue() {
			child := strings.TrimPrefix(path+"."+string(key), ".")
			nested, ok := known[string(key)]
			// The bridge's own notes about an object start with two underscores.
			if !ok && !strings.HasPrefix(string(key), "__") {
				*unknown = append(*unknown, child)
				continue
			}
			kept[key] = prune(property, nested, child, unknown)
		}
		return resource.NewObjectProperty(kept)
	default:
		return value
	}
}

func (s *server) warn(ctx context.Context, urn resource.URN, unknown []string) {
	slices.Sort(unknown)
	message := fmt.Sprintf("not exercised: %s: the offline plugin wraps %s, which does not know this; "+
		"the official plugin does", strings.Join(unknown, ", "), upstream)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.warned[string(urn)+message] {
		return
	}
	s.warned[string(urn)+message] = true
	if err := s.log(ctx, diag.Warning, urn, message); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", urn, message)
	}
}
