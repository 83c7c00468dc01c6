package debstack

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

const uwsgiConfig = `mkdir -p $DEST/conf; UWSGI_SOCKET_DIR=$NODE/run/uwsgi
write_uwsgi_config $DEST/conf/notes.ini /usr/bin/notes-wsgi /notes `

func TestAnAPIOfAPluginIsServedByApache(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "")
	said, err := node.script(uwsgiConfig + `"" notes-api`)
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(said).To(BeEmpty())
	config := strings.ReplaceAll(node.read("stack/old/conf/notes.ini"), node.dir, "NODE")
	g.Expect(config).To(HavePrefix("[uwsgi]\nchmod-socket = 666\nsocket = NODE/run/uwsgi/notes-api.socket\nwsgi-file = /usr/bin/notes-wsgi\nplugins = python3\n"))
	g.Expect(config).To(And(ContainSubstring("need-app = true\n"), Not(ContainSubstring("http-socket"))))
	g.Expect(strings.ReplaceAll(node.read("etc/apache2/sites-available/notes-api.conf"), node.dir, "NODE")).To(
		Equal("ProxyPass \"/notes\" \"unix:NODE/run/uwsgi/notes-api.socket|uwsgi://uwsgi-uds-notes-api\" retry=0 acquire=1\n"))
	g.Expect(strings.ReplaceAll(node.read("etc/tmpfiles.d/uwsgi.conf"), node.dir, "NODE")).To(Equal("d NODE/run/uwsgi 0755 stack root\n"))
	g.Expect(node.calls()).To(Equal(`a2enmod -q proxy
a2enmod -q proxy_uwsgi
a2enmod -q proxy_http
systemctl start apache2
systemd-tmpfiles --create /etc/tmpfiles.d/uwsgi.conf
a2ensite -q notes-api
systemctl restart apache2
`))

	said, err = node.script(`a2dissite() { :; }; APACHE_CONF_DIR=$NODE/etc/apache2/sites-available
remove_uwsgi_config $DEST/conf/notes.ini /usr/bin/notes-wsgi notes-api; disable_apache_site never-there`)
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(node.read("stack/old/conf/notes.ini")).To(BeEmpty())
	g.Expect(node.calls()).To(HaveSuffix("systemctl restart apache2\na2dissite -q notes-api\n"))
}

func TestAnAPIMayListenByItself(t *testing.T) {
	g := NewWithT(t)
	node := newFakeNode(t, "")
	said, err := node.script(uwsgiConfig + `127.0.0.1:60053`)
	g.Expect(err).NotTo(HaveOccurred(), said)
	g.Expect(node.read("stack/old/conf/notes.ini")).To(HavePrefix("[uwsgi]\nhttp-socket = 127.0.0.1:60053\nwsgi-file"))
	g.Expect(node.calls()).To(BeEmpty(), "no web server")
}

func TestHorizonAndApacheDoNotShareAPort(t *testing.T) {
	g := NewWithT(t)
	said, err := newFakeNode(t, "enable_service horizon\n").script(uwsgiConfig)
	g.Expect(err).To(HaveOccurred())
	g.Expect(said).To(ContainSubstring("horizon has port 80"))
}
