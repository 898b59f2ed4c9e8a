#!/usr/bin/perl
# Tells the random numbers that the kernel gives once all is renewed.
use v5.36;
open my $random, '<', '/dev/urandom' or die "/dev/urandom: $!\n";
open my $console, '>', '/dev/hvc0' or die "/dev/hvc0: $!\n";
sysread $random, my $bytes, 32;
syswrite $console, 'lab: renewed ' . unpack('H*', $bytes) . "\n";
