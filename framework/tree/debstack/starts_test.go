package debstack

import (
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// fakeSudo stands for sudo: what is called with it here needs nobody's rights.
const fakeSudo = `sudo() { "$@"; }; `

func inTree(t *testing.T, script string, arguments ...string) string {
	t.Helper()
	command := osexec.CommandContext(t.Context(), "bash", append([]string{"-euo", "pipefail", "-c", fakeSudo + script, "-"}, arguments...)...)
	command.Dir = "tree"
	said, err := command.CombinedOutput()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), string(said))
	return string(said)
}

// Python 3.12 has no distutils of its own any more: told to use that, it would find none.
func TestPythonIsToldOfItsOwnDistutilsWhereItHasThem(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	const variables = `source lib/stack; python_variables "$1"`
	g.Expect(inTree(t, variables, root)).To(Equal("EVENTLET_NO_GREENDNS=yes\n"))

	library := filepath.Join(root, "usr/lib/python3.11/distutils")
	g.Expect(os.MkdirAll(library, 0o700)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(library, "version.py"), nil, 0o600)).To(Succeed())
	g.Expect(inTree(t, variables, root)).To(Equal("EVENTLET_NO_GREENDNS=yes\nSETUPTOOLS_USE_DISTUTILS=stdlib\n"))

	g.Expect(os.MkdirAll(filepath.Join(root, "etc/sudoers.d"), 0o700)).To(Succeed())
	inTree(t, `source lib/stack; keep_python_variables "$1"`, root)
	kept, err := os.ReadFile(filepath.Join(root, "etc/sudoers.d/debstack"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(kept)).To(Equal("Defaults env_keep += \"EVENTLET_NO_GREENDNS SETUPTOOLS_USE_DISTUTILS\"\n"))
}

func TestAUWSGIConfigIsTunedOnceOrTwiceTheSame(t *testing.T) {
	g := NewWithT(t)
	config := filepath.Join(t.TempDir(), "api.ini")
	g.Expect(os.WriteFile(config, []byte(`[uwsgi]
plugins = python
apparmor-hat = none
apparmor-profile = api
enable-threads = false
processes = 8
threads = 32
wsgi-file = /usr/bin/api
`), 0o600)).To(Succeed())
	for range 2 {
		inTree(t, `API_WORKERS=1 API_THREADS=4; source lib/apache; tune_uwsgi "$1"`, config)
		tuned, err := os.ReadFile(config)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(tuned)).To(Equal(`[uwsgi]
plugins = python3
apparmor-hat = none
enable-threads = true
processes = 1
skip-atexit-teardown = true
worker-reload-mercy = 3
threads = 4
wsgi-file = /usr/bin/api
`))
	}
}
