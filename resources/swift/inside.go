package swift

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"grenade/framework/exec"
	"grenade/framework/node"
	"grenade/resources"
)

// configDir is where swift's servers, and their rings, are configured.
const configDir = "/etc/swift"

// yes is what a switch in the store says.
const yes = "yes"

// ondisk reads swift's disks; see there.
//
//go:embed ondisk.py
var ondisk string

// inside looks at swift without swift.
type inside struct {
	*resources.Inside
	check *check
}

func (c *check) inside() (*inside, error) {
	view, err := c.cloud.Inside()
	if err != nil {
		return nil, err
	}
	return &inside{Inside: view, check: c}, nil
}

// stored says what of the owner's account this node's disks have: on a cluster
// of several nodes, others have the rest.
type stored struct {
	Account    bool        `json:"account"`
	Containers []string    `json:"containers"`
	Objects    [][2]string `json:"objects"` // container and object
}

// disks is what ondisk.py answers.
type disks struct {
	Absent     string           `json:"absent"`
	Account    map[string]any   `json:"account"`
	Containers []map[string]any `json:"containers"`
	Objects    []map[string]any `json:"objects"`
}

// ask runs ondisk.py in the node.
func (i *inside) ask(ctx context.Context, request map[string]any, answer any) error {
	request["config"] = configDir
	question, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("read swift's disks: %w", err)
	}
	out, err := i.Node.Output(ctx, node.Command{Command: exec.Command{
		Args:  []string{"python3", "-", base64.StdEncoding.EncodeToString(question)},
		Stdin: []byte(ondisk),
	}, User: "root"})
	if err != nil {
		return fmt.Errorf("read swift's disks: %w", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	decoder.UseNumber() // sizes keep their digits
	if err := decoder.Decode(answer); err != nil {
		return fmt.Errorf("read swift's disks: what the script in the node answered: %w", err)
	}
	return nil
}

func (i *inside) read(ctx context.Context, request map[string]any) (*disks, error) {
	account, err := i.check.memory.Get(keyAccount)
	if err != nil {
		return nil, err
	}
	request["account"] = account
	answer := &disks{}
	if err := i.ask(ctx, request, answer); err != nil {
		return nil, err
	}
	if answer.Absent != "" {
		return nil, &resources.NotChecked{Reason: "this node has none of swift's disks: " + answer.Absent}
	}
	return answer, nil
}

// recordInside saves what the disks hold, for VerifyNoAPI.
func (c *check) recordInside(ctx context.Context, want *asked) error {
	inside, err := c.inside()
	if resources.IsNotChecked(err) {
		return nil // VerifyNoAPI will say so
	}
	if err != nil {
		return err
	}
	seen, err := inside.read(ctx, map[string]any{})
	if resources.IsNotChecked(err) {
		return nil
	}
	if err != nil {
		return err
	}
	here := seen.here()
	text, err := json.Marshal(here)
	if err != nil {
		return fmt.Errorf("what is on the node's disks: %w", err)
	}
	if err := c.memory.Save(ctx, map[string]string{keyStored: string(text)}); err != nil {
		return err
	}
	objects, err := inside.objects(here, seen, want)
	if err != nil {
		return err
	}
	return c.memory.Record(ctx, objects)
}

// here is what was found of what was looked for.
func (d *disks) here() stored {
	var found stored
	found.Account = !isMissing(d.Account)
	for _, each := range d.Containers {
		if !isMissing(each) {
			found.Containers = append(found.Containers, fmt.Sprint(each["id"]))
		}
	}
	for _, each := range d.Objects {
		if !isMissing(each) {
			found.Objects = append(found.Objects, [2]string{fmt.Sprint(each["container"]), fmt.Sprint(each["object"])})
		}
	}
	return found
}

func isMissing(thing map[string]any) bool {
	_, missing := thing["missing"]
	return missing || thing == nil
}

// compare compares the disks with what create found on them.
func (i *inside) compare(ctx context.Context, stage resources.Stage) error {
	text, err := i.check.memory.Find(keyStored)
	if err != nil {
		return err
	}
	if text == "" {
		return &resources.NotChecked{Reason: "this node has none of swift's disks"}
	}
	var here stored
	if err := json.Unmarshal([]byte(text), &here); err != nil {
		return fmt.Errorf("[%s] %s in the store: %w", i.check.memory.Section, keyStored, err)
	}
	seen, err := i.read(ctx, map[string]any{"containers": here.Containers, "objects": here.Objects})
	if err != nil {
		return err
	}
	objects, err := i.objects(here, seen, nil)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return &resources.NotChecked{Reason: "the rings keep everything on other nodes"}
	}
	return i.check.memory.Compare(ctx, stage, objects)
}

// objects lists what is compared while the API is down. want is nil but at create.
func (i *inside) objects(here stored, seen *disks, want *asked) ([]resources.Object, error) {
	settled, err := i.check.memory.Find(keySettled)
	if err != nil {
		return nil, err
	}
	var list []resources.Object
	if here.Account {
		database := fixed("account_database", seen.Account)
		if settled != yes {
			database.Tolerated = tolerateTotals("info.object_count", "info.bytes_used", "containers[*].object_count", "containers[*].bytes_used")
		}
		list = append(list, database)
	}
	for _, each := range seen.Containers {
		list = append(list, fixed("database_of "+i.label(fmt.Sprint(each["id"])), each))
	}
	for _, each := range seen.Objects {
		container, name := fmt.Sprint(each["container"]), fmt.Sprint(each["object"])
		file := fixed("file_of "+i.label(container)+"/"+i.label(name), each)
		if want != nil && keptAsSent(each) {
			file.Asked = i.sent(want, container, name)
		}
		list = append(list, file)
	}
	for n := range list {
		if want != nil && !strings.HasPrefix(list[n].Name, "file_of ") {
			list[n].Asked = map[string]any{"integrity": "ok"}
		}
	}
	return list, nil
}

// fixed is an object that was fetched already.
func fixed(name string, thing map[string]any) resources.Object {
	return resources.Object{Name: name, Fetch: func(context.Context) (any, error) {
		if isMissing(thing) {
			return nil, &resources.Gone{What: fmt.Sprint(thing["missing"])}
		}
		return thing, nil
	}}
}

// label is how reports and the store call a container or object: without what is
// the same for all, and without the NUL bytes that swift's hidden names have.
func (i *inside) label(name string) string {
	return strings.NewReplacer(i.check.container(""), "", "\x00", "·").Replace(name)
}

// keptAsSent says whether a file holds the bytes that were uploaded: encryption
// at rest and erasure coding keep others.
func keptAsSent(file map[string]any) bool {
	metadata, _ := file["metadata"].(map[string]any)
	_, encrypted := metadata["X-Object-Sysmeta-Crypto-Body-Meta"]
	_, fragment := metadata["X-Object-Sysmeta-Ec-Frag-Index"]
	return !encrypted && !fragment
}

// sent is what create wants to find in a file.
func (i *inside) sent(want *asked, container, name string) map[string]any {
	contents := map[[2]string]data{
		{i.check.container(box), objectName}:     want.object,
		{i.check.container(box), emptyName}:      want.empty,
		{i.check.container(private), secretName}: want.secret,
	}
	for object, parts := range map[string][]data{largeName: want.large, dynamicName: want.dynamic} {
		for n, part := range parts {
			contents[[2]string{i.check.container(segments), segmentName(object, n)}] = part
		}
	}
	content, known := contents[[2]string{container, name}]
	if !known {
		return nil // swift's own: a manifest, a link, a version
	}
	return map[string]any{"size": len(content.bytes), "sha256": content.sha, "metadata.ETag": content.md5}
}
