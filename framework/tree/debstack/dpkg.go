package debstack

import "strings"

// dpkgPackage is one installed package of a root.
type dpkgPackage struct{ name, version, source string }

// dpkgStatus reads dpkg's status file (deb-control(5) paragraphs); packages that are not fully installed are left out.
func dpkgStatus(text string) []dpkgPackage {
	var found []dpkgPackage
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		p, installed := dpkgPackage{}, false
		for line := range strings.SplitSeq(paragraph, "\n") {
			field, value, _ := strings.Cut(line, ": ")
			switch field {
			case "Package":
				p.name = value
			case "Version":
				p.version = value
			case "Source":
				p.source, _, _ = strings.Cut(value, " ") // A version follows if it is not the package's.
			case "Status":
				installed = strings.HasSuffix(value, " installed")
			}
		}
		if !installed || p.name == "" {
			continue
		}
		if p.source == "" {
			p.source = p.name
		}
		found = append(found, p)
	}
	return found
}
