// Package inventory lists what a cloud holds, service by service and on its
// node, so that what is there after destroy and was not there before create can
// be named: a leak. It only looks; it changes nothing.
package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"

	"grenade/framework/tree"
	"grenade/resources"
)

// Inventory is what exists: kind of thing ("port") → id → what people call it.
// A kind that was looked for and has nothing is there, and empty.
type Inventory map[string]map[string]string

// listing is one kind of thing, and where it is listed: by the API of a
// service, by a database, or on the node.
type listing struct {
	kind string

	// service is the type in the catalog, path what follows its endpoint, member
	// the name of the list in the answer. id and name are the attributes to
	// keep, "id" and "name" by default.
	service, path, member string
	id, name              string

	// database and query: rows of an id and a name.
	database, query string

	// script is bash, run as root in the node: lines of an id, a tab, a name.
	script string
}

// Leftover declares what destroy need not remove.
type Leftover struct {
	// Kind is an inventory's, Prefix how the thing's name or id begins.
	Kind, Prefix string
	// Reason says who removes it, and when. It is for readers.
	Reason string
}

// Projects lists the projects whose holdings can be listed.
func Projects() []string { return slices.Sorted(maps.Keys(listings())) }

// Take lists everything that the project's service holds, for all of the
// cloud's users. A service that is not in the catalog holds nothing; without a
// node, only APIs are asked. It logs in as administrator.
func Take(ctx context.Context, cloud resources.Cloud, project string) (Inventory, error) {
	known, listed := listings()[project]
	if !listed {
		return Inventory{}, nil
	}
	provider, err := cloud.AsAdmin(ctx)
	if err != nil {
		return nil, fmt.Errorf("inventory of %s: %w", project, err)
	}
	inside, err := cloud.Inside()
	var nowhere *resources.NotChecked
	if err != nil && !errors.As(err, &nowhere) {
		return nil, fmt.Errorf("inventory of %s: %w", project, err)
	}
	names, err := projectNames(ctx, cloud, provider)
	if err != nil {
		return nil, fmt.Errorf("inventory of %s: %w", project, err)
	}
	found := Inventory{}
	for _, each := range known {
		var things map[string]string
		switch {
		case each.service != "":
			things, err = each.ask(ctx, cloud, provider, names)
		case inside == nil:
			continue
		case each.database != "":
			things, err = each.read(ctx, inside)
		default:
			things, err = each.look(ctx, inside)
		}
		if err != nil {
			return nil, fmt.Errorf("inventory of %s: list every %s: %w", project, each.kind, err)
		}
		found[each.kind] = things
	}
	return found, nil
}

// ask lists by API, page by page. The names of projects are for descriptions.
func (l listing) ask(ctx context.Context, cloud resources.Cloud, provider *gophercloud.ProviderClient, names map[string]string) (map[string]string, error) {
	things := map[string]string{}
	client, err := cloud.Service(provider, l.service, "")
	var absent *gophercloud.ErrEndpointNotFound
	if errors.As(err, &absent) {
		return things, nil
	}
	if err != nil {
		return nil, err
	}
	if l.service == "compute" {
		client.Microversion = "2.1"
	}
	// Some catalogs name the API's version, others leave it to who asks.
	base := client.Endpoint
	if version, _, _ := strings.Cut(l.path, "/"); strings.HasSuffix(base, "/"+version+"/") {
		base = strings.TrimSuffix(base, version+"/")
	}
	for url := base + l.path; url != ""; {
		var page map[string]any
		// A body that is read into something is closed by the library.
		if _, err := client.Get(ctx, url, &page, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}}); err != nil { //nolint:bodyclose // see above
			return nil, fmt.Errorf("GET %s: %w", url, err)
		}
		objects, err := l.objects(page)
		if err != nil {
			return nil, fmt.Errorf("GET %s: %w", url, err)
		}
		for _, object := range objects {
			things[text(object[l.idAttribute()])] = l.describe(object, names)
		}
		url = next(base, page, l.member)
	}
	return things, nil
}

func (l listing) objects(page map[string]any) ([]map[string]any, error) {
	list, ok := page[l.member].([]any)
	if !ok {
		return nil, fmt.Errorf("the answer has no list %q", l.member)
	}
	objects := make([]map[string]any, 0, len(list))
	for _, element := range list {
		object, ok := element.(map[string]any)
		if !ok || text(object[l.idAttribute()]) == "" {
			return nil, fmt.Errorf("one of %q has no %s", l.member, l.idAttribute())
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// describe is the object's name, and whose it is: of a default security group, say,
// nothing else tells who left it. A project that is gone has no name, but its id.
func (l listing) describe(object map[string]any, names map[string]string) string {
	name := text(object[l.nameAttribute()])
	if project := text(object["project_id"]); project != "" {
		return strings.TrimSpace(name + " of project " + cmp.Or(names[project], project))
	}
	return name
}

// projectNames are the names of the cloud's projects, by id.
func projectNames(ctx context.Context, cloud resources.Cloud, provider *gophercloud.ProviderClient) (map[string]string, error) {
	identity, err := cloud.Identity(provider)
	if err != nil {
		return nil, err
	}
	list, err := resources.Collection(ctx, projects.List(identity, projects.ListOpts{}), "projects")
	if err != nil {
		return nil, fmt.Errorf("list every project: %w", err)
	}
	names := map[string]string{}
	for _, project := range list {
		names[text(project["id"])] = text(project["name"])
	}
	return names, nil
}

// next finds the address of the next page, in the three ways in which OpenStack's
// services say it: links.next (Identity), next (Image), <member>_links (the others).
func next(endpoint string, page map[string]any, member string) string {
	if links, ok := page["links"].(map[string]any); ok {
		return text(links["next"])
	}
	if path := text(page["next"]); path != "" {
		return strings.TrimSuffix(endpoint, "/") + path
	}
	links, _ := page[member+"_links"].([]any)
	for _, each := range links {
		if link, ok := each.(map[string]any); ok && link["rel"] == "next" {
			return text(link["href"])
		}
	}
	return ""
}

func (l listing) idAttribute() string {
	if l.id != "" {
		return l.id
	}
	return "id"
}

func (l listing) nameAttribute() string {
	if l.name != "" {
		return l.name
	}
	return "name"
}

func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// read lists rows of a database: what no API lists for all users.
func (l listing) read(ctx context.Context, inside *resources.Inside) (map[string]string, error) {
	rows, err := inside.Rows(ctx, l.database, l.query)
	if err != nil {
		return nil, err
	}
	things := map[string]string{}
	for _, row := range rows {
		id, name, _ := strings.Cut(row, "|")
		things[id] = name
	}
	return things, nil
}

// look lists what is on the node.
func (l listing) look(ctx context.Context, inside *resources.Inside) (map[string]string, error) {
	lines, err := inside.Lines(ctx, "set -euo pipefail\n"+l.script)
	if err != nil {
		return nil, err
	}
	things := map[string]string{}
	for _, line := range lines {
		id, name, _ := strings.Cut(line, "\t")
		things[id] = name
	}
	return things, nil
}

// Leaks says what is there now and was not before, but for what is declared,
// here or as left by a plugin: one line each, sorted. What a plugin is said to
// leave, and is not there, is one, too: the declaration is wrong.
func Leaks(before, now Inventory, left ...tree.Leftover) []string {
	var leaks []string
	unseen := slices.DeleteFunc(slices.Clone(left), func(l tree.Leftover) bool { _, listed := now[l.Kind]; return !listed })
	for _, kind := range slices.Sorted(maps.Keys(now)) {
		for _, id := range slices.Sorted(maps.Keys(now[kind])) {
			name := now[kind][id]
			if _, known := before[kind][id]; known || declared(kind, id, name) {
				continue
			}
			if i := slices.IndexFunc(unseen, func(l tree.Leftover) bool { return l.Kind == kind && l.Name == name }); i >= 0 {
				unseen = slices.Delete(unseen, i, i+1)
				continue
			}
			line := kind + " " + id
			if name != "" {
				line += " (" + name + ")"
			}
			leaks = append(leaks, line)
		}
	}
	for _, l := range unseen {
		leaks = append(leaks, fmt.Sprintf("no %s %s, which is declared to be left (%s)", l.Kind, l.Name, l.Reason))
	}
	return leaks
}

func declared(kind, id, name string) bool {
	return slices.ContainsFunc(Leftovers(), func(l Leftover) bool {
		return l.Kind == kind && (strings.HasPrefix(id, l.Prefix) || strings.HasPrefix(name, l.Prefix))
	})
}
