// Package fakekeystone is a fake: an Identity API in memory, as much of it as keystone's check and an inventory speak. It exists
// for what a real one cannot do on demand: lose the answer to the n-th write, be stopped, be upgraded, change what it keeps.
package fakekeystone

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Options are what a Server is like. None is needed.
type Options struct {
	// Password is what logins by name must give; "" lets everybody in.
	Password string
	// Endpoint is what follows URL in the catalog, "" or "/v3": clouds have either.
	Endpoint string
	// Before is called before each request. When it returns false, nobody answers: the connection breaks.
	Before func(f *Server, path string) bool
	// Volumes puts a volume API into the catalog, at URL/volume, which holds nothing.
	Volumes bool
}

// Server is the fake, at URL.
type Server struct {
	*httptest.Server

	options Options

	mu      sync.Mutex
	next    int
	version string
	objects map[string]map[string]map[string]any // collection → id → object
	grants  map[string]bool                      // path of an assignment or membership
	writes  int
	// failWrite is the number of the write that fails, counted from 1; 0 is none. carryOut says whether it is carried out before.
	failWrite int
	carryOut  bool
}

// New starts one, which the caller closes.
func New(options Options) *Server {
	f := &Server{options: options, version: "v3.14", objects: map[string]map[string]map[string]any{}, grants: map[string]bool{}}
	for _, collection := range []string{"domains", "projects", "users", "groups", "roles", "credentials", "services", "endpoints", "application_credentials"} {
		f.objects[collection] = map[string]map[string]any{}
	}
	f.Server = httptest.NewUnstartedServer(f)
	f.Start()
	return f
}

// FailWrite has the answer to the n-th write from now lost, after or before it is carried out.
func (f *Server) FailWrite(n int, carryOut bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failWrite, f.carryOut = f.writes+n, carryOut
}

// Left returns the names of everything there is.
func (f *Server) Left() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := []string{}
	for collection, objects := range f.objects {
		for id := range objects {
			names = append(names, collection+"/"+id)
		}
	}
	for grant := range f.grants {
		names = append(names, grant)
	}
	return names
}

// Upgrade makes it offer another version of the API, like "v3.14".
func (f *Server) Upgrade(version string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version = version
}

// Change sets an attribute of every object of a collection, as no API does.
func (f *Server) Change(collection, attribute, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, object := range f.objects[collection] {
		object[attribute] = value
	}
}

// ServeHTTP answers.
func (f *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.options.Before != nil && !f.options.Before(f, r.URL.Path) {
		panic(http.ErrAbortHandler)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path == "/" {
		reply(w, http.StatusMultipleChoices, map[string]any{"versions": map[string]any{"values": []any{f.versionDocument()}}})
		return
	}
	if strings.HasPrefix(r.URL.Path, "/volume/") {
		reply(w, http.StatusOK, map[string]any{"volumes": []any{}, "snapshots": []any{}, "volume_types": []any{}, "backups": []any{}})
		return
	}
	path := strings.Trim(strings.TrimPrefix(r.URL.Path, "/v3"), "/")
	var body map[string]any
	_ = json.NewDecoder(r.Body).Decode(&body)
	if r.Method != http.MethodGet && path != "auth/tokens" || body != nil && asUser(body) {
		f.writes++
		if f.writes == f.failWrite {
			if f.carryOut {
				f.answer(httptest.NewRecorder(), r, path, body)
			}
			panic(http.ErrAbortHandler) // the connection breaks
		}
	}
	f.answer(w, r, path, body)
}

// asUser tells the login by user id, which create's token comes from, from the
// administrator's by name.
func asUser(body map[string]any) bool {
	text, _ := json.Marshal(body)
	return strings.Contains(string(text), `"user":{"id"`)
}

func (f *Server) answer(w http.ResponseWriter, r *http.Request, path string, body map[string]any) {
	parts := strings.Split(path, "/")
	switch {
	case path == "":
		reply(w, http.StatusOK, map[string]any{"version": f.versionDocument()})
	case path == "auth/tokens":
		f.token(w, r, body)
	case path == "auth/catalog":
		reply(w, http.StatusOK, map[string]any{"catalog": f.catalog(), "links": map[string]any{"next": nil}})
	case path == "role_assignments":
		f.assignments(w, r)
	case len(parts) == 3 && parts[2] == "application_credentials":
		f.collection(w, r, "application_credentials", body)
	case len(parts) == 3 && parts[0] == "groups" && parts[2] == "users":
		f.members(w, parts[1])
	case len(parts) > 2:
		f.grants[path] = true
		w.WriteHeader(http.StatusNoContent)
	case len(parts) == 1:
		f.collection(w, r, parts[0], body)
	default:
		f.object(w, r, parts[0], parts[1], body)
	}
}

func (f *Server) token(w http.ResponseWriter, r *http.Request, body map[string]any) {
	if r.Method == http.MethodPost && !f.knows(body) {
		reply(w, http.StatusUnauthorized, map[string]any{"error": map[string]any{"code": 401, "title": "Unauthorized"}})
		return
	}
	token := map[string]any{
		"issued_at": time.Now().UTC().Format(time.RFC3339Nano), "expires_at": time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z"),
		"audit_ids": []string{fmt.Sprint(time.Now().UnixNano())}, "catalog": f.catalog(), "methods": []string{"password"},
	}
	// Names are what the login said; there is one domain.
	domain := map[string]any{"id": "default", "name": "Default"}
	if user := said(body, "identity", "password", "user", "name"); user != "" {
		token["user"] = map[string]any{"id": "of-" + user, "name": user, "domain": domain}
	}
	if project := said(body, "scope", "project", "name"); project != "" {
		token["project"] = map[string]any{"id": "of-" + project, "name": project, "domain": domain}
	}
	status := http.StatusCreated
	if r.Method == http.MethodGet {
		status = http.StatusOK
		token["issued_at"], token["expires_at"], token["audit_ids"] = "then", "later", []string{"same"}
	}
	w.Header().Set("X-Subject-Token", "a-token")
	reply(w, status, map[string]any{"token": token})
}

// said is the text below auth at the end of the path, "" when there is none.
func said(body map[string]any, path ...string) string {
	at := body["auth"]
	for _, name := range path {
		object, _ := at.(map[string]any)
		at = object[name]
	}
	text, _ := at.(string)
	return text
}

// knows says whether a login may pass: one by a user's name with the password, any other always.
func (f *Server) knows(body map[string]any) bool {
	text, _ := json.Marshal(body)
	password, _ := json.Marshal(f.options.Password)
	return f.options.Password == "" || asUser(body) || !strings.Contains(string(text), `"password":{`) || strings.Contains(string(text), `"password":`+string(password))
}

func (f *Server) versionDocument() map[string]any {
	return map[string]any{"id": f.version, "status": "stable", "links": []any{map[string]any{"rel": "self", "href": f.URL + "/v3/"}}}
}

func (f *Server) catalog() []any {
	service := func(kind, name, url string) any {
		return map[string]any{"type": kind, "name": name, "id": kind, "endpoints": []any{map[string]any{
			"id": "public", "interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": f.URL + url,
		}}}
	}
	services := []any{service("identity", "keystone", f.options.Endpoint)}
	if f.options.Volumes {
		services = append(services, service("volumev3", "cinderv3", "/volume/v3"))
	}
	return services
}

func (f *Server) collection(w http.ResponseWriter, r *http.Request, name string, body map[string]any) {
	singular := strings.TrimSuffix(name, "s")
	if r.Method == http.MethodGet {
		list := []any{}
		for _, object := range f.objects[name] {
			if match(r, object, "name") && match(r, object, "domain_id") {
				list = append(list, object)
			}
		}
		reply(w, http.StatusOK, map[string]any{name: list, "links": map[string]any{"next": nil}})
		return
	}
	object, _ := body[singular].(map[string]any)
	if _, ok := object["enabled"]; !ok {
		object["enabled"] = true
	}
	if name == "roles" {
		object["domain_id"] = nil
	}
	if name == "application_credentials" {
		object["user_id"] = strings.Split(r.URL.Path, "/")[3]
	}
	delete(object, "password")
	f.next++
	id := fmt.Sprintf("%s%d", singular, f.next)
	object["id"] = id
	f.objects[name][id] = object
	reply(w, http.StatusCreated, map[string]any{singular: object})
}

func match(r *http.Request, object map[string]any, key string) bool {
	want := r.URL.Query().Get(key)
	return want == "" || object[key] == want
}

func (f *Server) object(w http.ResponseWriter, r *http.Request, collection, id string, body map[string]any) {
	object, ok := f.objects[collection][id]
	switch {
	case !ok:
		reply(w, http.StatusNotFound, map[string]any{"error": map[string]any{"code": 404}})
	case r.Method == http.MethodPatch:
		change, _ := body[strings.TrimSuffix(collection, "s")].(map[string]any)
		maps.Copy(object, change)
		reply(w, http.StatusOK, map[string]any{strings.TrimSuffix(collection, "s"): object})
	case r.Method == http.MethodDelete && collection == "domains" && object["enabled"] == true:
		reply(w, http.StatusForbidden, map[string]any{"error": map[string]any{"code": 403}})
	case r.Method == http.MethodDelete:
		f.remove(collection, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

// remove takes with an object what the real one takes with it.
func (f *Server) remove(collection, id string) {
	delete(f.objects[collection], id)
	maps.DeleteFunc(f.grants, func(path string, _ bool) bool { return strings.Contains(path, id) })
	if collection == "users" {
		maps.DeleteFunc(f.objects["application_credentials"], func(_ string, object map[string]any) bool { return object["user_id"] == id })
	}
	if collection != "domains" {
		return
	}
	for _, inside := range []string{"users", "groups", "projects"} {
		for member, object := range f.objects[inside] {
			if object["domain_id"] == id {
				f.remove(inside, member)
			}
		}
	}
}

func (f *Server) members(w http.ResponseWriter, group string) {
	list := []any{}
	for path := range f.grants {
		if user, ok := strings.CutPrefix(path, "groups/"+group+"/users/"); ok {
			list = append(list, f.objects["users"][user])
		}
	}
	reply(w, http.StatusOK, map[string]any{"users": list, "links": map[string]any{"next": nil}})
}

// assignments reads the paths under which they were made:
// projects/<id>/users/<id>/roles/<id>.
func (f *Server) assignments(w http.ResponseWriter, r *http.Request) {
	list := []any{}
	for path := range f.grants {
		parts := strings.Split(path, "/")
		if len(parts) != 6 {
			continue
		}
		who := strings.TrimSuffix(parts[2], "s")
		if r.URL.Query().Get(who+".id") != parts[3] {
			continue
		}
		list = append(list, map[string]any{
			who: map[string]any{"id": parts[3]}, "role": map[string]any{"id": parts[5]},
			"scope": map[string]any{strings.TrimSuffix(parts[0], "s"): map[string]any{"id": parts[1]}},
		})
	}
	reply(w, http.StatusOK, map[string]any{"role_assignments": list, "links": map[string]any{"next": nil}})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
