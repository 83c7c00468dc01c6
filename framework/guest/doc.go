// Package guest makes the files that the cloud's test servers boot from: a kernel, an initial RAM disk that is the whole
// system, and a small root disk. The guest gets an address by DHCP and answers on port 80 who it is, since when it runs,
// and what is on its disks; README.md has the questions it understands.
//
// The content comes from Debian packages (kernel, drivers, busybox) and from files/, which has the layout of the RAM
// disk. Where packages come from and how the result is kept is not this room's affair.
package guest
