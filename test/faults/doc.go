// Package faults tests what the product promises while Redis, the network, a disk
// or a gateway fails.
package faults
