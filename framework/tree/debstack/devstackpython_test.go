package debstack

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestInstallingFromSourceMeansDebianPackages(t *testing.T) {
	for name, test := range map[string]struct {
		lines string
		want  string
		fails bool
	}{
		"a project": {
			lines: `setup_develop $DEST/notes; setup_install "$DEST/notes/" redis; readlink $RC_DIR/bin/notes-manage || echo no program of it is there`,
			want:  "no program of it is there\n",
		},
		"a library's checkout":      {lines: `setup_dev_lib -bindep python-notesclient; echo done`, want: "done\n"},
		"libraries":                 {lines: `pip_install -U 'python-notesclient>=1.0' oslo_log; pip_install_gr pymemcache; echo done`, want: "done\n"},
		"a library that is missing": {lines: `pip_install_gr Not.There`, want: "package python3-not.there is not in the root", fails: true},
		"nobody's checkout":         {lines: `setup_package /elsewhere/missing -e`, want: "does not know those of /elsewhere/missing: projects/missing would name them", fails: true},
		"a list of requirements":    {lines: `pip_install -r requirements.txt`, want: "reads no list of pip's: -r requirements.txt", fails: true},
		"a clone of a project":      {lines: `git_clone https://nowhere.example/notes $DEST/notes master`, want: "notes is not cloned: it comes from Debian packages\n"},
		"a clone of a library": {
			lines: `GITREPO[python-notesclient]=x GITBRANCH[python-notesclient]=y GITDIR[python-notesclient]=$DEST/python-notesclient; git_clone_by_name python-notesclient`,
			want:  "python-notesclient is not cloned: it comes from Debian packages\n",
		},
		"a service that has no lib": {
			lines: `install_notes() { echo its own; setup_develop $DEST/notes; }; stack_install_service notes`, want: "its own\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			node := newFakeNode(t, "")
			node.write("stack/old/devstack/projects/notes", "# projects/notes: a fixture.\n# packages: notes-common notes-api\n")
			node.write("missing", "python3-not.there\npython3-missing\n")
			said, err := node.script(test.lines)
			if test.fails {
				g.Expect(err).To(HaveOccurred(), said)
				g.Expect(said).To(ContainSubstring(test.want))
				return
			}
			g.Expect(err).NotTo(HaveOccurred(), said)
			g.Expect(said).To(Equal(test.want))
		})
	}
}

// Plugins name the module of their own release; packages of older ones have but a script.
func TestUWSGILoadsWhatTheSidesPackagesHave(t *testing.T) {
	node := newFakeNode(t, "")
	node.write("stack/old/devstack/projects/notes", "# projects/notes: a fixture.\n# wsgi: notes.wsgi.api:application notes-wsgi\n")
	node.write("root/usr/bin/notes-wsgi", "#!/bin/sh\n")
	for _, test := range []struct{ lines, want string }{
		{`wsgi_application notes.wsgi.api:application`, "wsgi-file /usr/bin/notes-wsgi\n"},
		{`wsgi_application "$(get_python_exec_prefix)/notes-wsgi"`, "wsgi-file /usr/bin/notes-wsgi\n"},
		{`wsgi_application /opt/notes/app.py`, "wsgi-file /opt/notes/app.py\n"},
		{
			`mkdir -p $NODE/root/usr/lib/python3/dist-packages/notes/wsgi/api; cd $_; : >__init__.py; wsgi_application notes.wsgi.api:application`,
			"module notes.wsgi.api:application\n",
		},
	} {
		said, err := node.script("DEBSTACK_ROOT=$NODE/root; " + test.lines)
		NewWithT(t).Expect(err).NotTo(HaveOccurred(), said)
		NewWithT(t).Expect(said).To(Equal(test.want), test.lines)
	}
	said, err := node.script(`DEBSTACK_ROOT=$NODE/root; wsgi_application other.wsgi:application`)
	NewWithT(t).Expect(err).To(HaveOccurred())
	NewWithT(t).Expect(said).To(ContainSubstring("there is no module for other.wsgi:application"))
}
