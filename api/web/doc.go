// Package web has the pages for browsers: the guide, the
// reference, a page for each problem, and the console.
//
// They are rendered once, when a [Site] is created. They have no build step, load
// nothing from other hosts, and run only scripts from their own files: see
// [contentPolicy].
package web
