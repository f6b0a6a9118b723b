# SPDX-License-Identifier: MIT
# Hashes, regular expressions, sorting, string growth and threads.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use threads;
use threads::shared;

my $state = 12345;

sub next_random {
    my ($bound) = @_;
    $state = ($state * 1103515245 + 12345) % 2147483648;
    return int($state / 65536) % $bound;
}

my %count;
for my $i (1 .. 60000) {
    $count{"key" . next_random(5000)} += $i;
    delete $count{"key" . next_random(5000)} if $i % 3 == 0;
}
my @lines = map { "$_=$count{$_}" } sort keys %count;
print scalar(@lines), " ", sha256_hex(join("\n", @lines)), "\n";

my $text = join(" ", map { "word" . next_random(900) . "," } 1 .. 20000);
my %seen;
$seen{$1}++ while $text =~ /\bword(\d+),/g;
(my $changed = $text) =~ s/word(\d)(\d+)/<$2-$1>/g;
print scalar(keys %seen), " ", sha256_hex($changed), "\n";

my $growing = "";
$growing .= chr(33 + $_ % 90) x ($_ % 300) for 1 .. 3000;
print length($growing), " ", sha256_hex($growing), "\n";

my @nested = map { { id => $_, list => [1 .. $_ % 50] } } 1 .. 4000;
my @sorted = sort { @{$b->{list}} <=> @{$a->{list}} || $a->{id} <=> $b->{id} }
    @nested;
print sha256_hex(join(",", map { $_->{id} } @sorted)), "\n";

my @workers = map {
    my $seed = $_;
    threads->create(sub {
        my %own = map { ("$seed-$_" => "x" x ($_ % 100)) } 1 .. 5000;
        return sha256_hex(join("", map { $_ . $own{$_} } sort keys %own));
    });
} 1 .. 4;
print $_->join(), "\n" for @workers;
