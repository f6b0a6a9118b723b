# SPDX-License-Identifier: MIT
"""vtc - varnishtest, Varnish's own test program, and scripts for it.

A script starts servers, clients and a varnishd of its own, and says what each
must see; varnishtest fails if one sees something else. What is counted, is
counted in the scripts: objects, hits, what was thrown out, bytes in storage.
"""
import re

from store import LIBRARIES


def each(count, text):
    """The text for each number, put where it has %d."""
    return "".join(text.replace("%d", str(number)) + "\n"
                   for number in range(count))


SCRIPTS = {
    "library": """
server s1 {
    rxreq
    txresp -bodylen 100
} -start
varnish v1 -vcl+backend { } -start
client c1 {
    txreq
    rxresp
    expect resp.bodylen == 100
} -run
# Both processes of varnishd run on the library that is meant.
shell {
    cd ${tmpdir} && for pid in $(varnishadm -n ${v1_name} pid | sed "s/.*: *//")
    do
        grep -q " ${library}$" /proc/$pid/maps || exit 1
        echo proved
    done > proved && test $(wc -l < proved) = 2
}
""",
    "variants": """
server s1 -repeat 2 {
    rxreq
    txresp -hdr "Vary: X-Kind" -hdr {ETag: "one"} -bodylen 5000
} -start
varnish v1 -vcl+backend {
    sub vcl_deliver { set resp.http.X-Hits = obj.hits; }
} -start
client c1 -repeat 20 {
    txreq -hdr "X-Kind: a"
    rxresp
    expect resp.bodylen == 5000
    txreq -hdr "X-Kind: b"
    rxresp
    expect resp.bodylen == 5000
    txreq -hdr "X-Kind: a" -hdr {If-None-Match: "one"}
    rxresp
    expect resp.status == 304
    expect resp.http.X-Hits > 0
} -run
varnish v1 -expect MAIN.n_object == 2
varnish v1 -expect MAIN.cache_miss == 2
varnish v1 -expect MAIN.cache_hit == 58
""",
    "removal": """
server s0 {
    rxreq
    txresp -hdr "Connection: close" -hdr "Kind: odd" -bodylen 3000
} -dispatch
varnish v1 -vcl+backend {
    sub vcl_recv {
        if (req.method == "PURGE") { return (purge); }
    }
} -start
varnish v1 -cliok "param.set ban_lurker_age 0.01"
varnish v1 -cliok "param.set ban_lurker_sleep 0.01"
client c1 {
""" + each(200, """
    txreq -url "/object/%d"
    rxresp
    expect resp.bodylen == 3000
""") + """
} -run
varnish v1 -expect MAIN.n_object == 200
client c1 {
""" + each(30, """
    txreq -req PURGE -url "/object/%d"
    rxresp
    expect resp.status == 200
""") + """
} -run
varnish v1 -expect MAIN.n_purges == 30
varnish v1 -expect MAIN.n_obj_purged == 30
varnish v1 -cliok "ban obj.http.Kind == odd"
delay 1
varnish v1 -expect MAIN.n_object == 0
""",
    "storage": """
# Ten times what there is room for: the oldest is thrown out.
server s0 {
    rxreq
    txresp -hdr "Connection: close" -bodylen 200000
} -dispatch
varnish v1 -arg "-s store=malloc,4m" -vcl+backend { } -start
client c1 {
""" + each(200, """
    txreq -url "/object/%d"
    rxresp
    expect resp.bodylen == 200000
""") + """
} -run
varnish v1 -expect MAIN.n_lru_nuked > 170
varnish v1 -expect MAIN.n_object < 21
varnish v1 -expect SMA.store.c_fail > 0
varnish v1 -expect SMA.store.g_bytes < 4194305
varnish v1 -expect SMA.store.g_bytes > 2000000
varnish v1 -expect MAIN.s_resp_bodybytes > 39999999
""",
    "transforms": """
# Compressed by the cache, put together of parts, and unpacked again.
server s1 {
    rxreq
    txresp -body {<esi:include src="/part"/>middle<esi:include src="/part"/>}
} -start
varnish v1 -vcl+backend {
    sub vcl_recv {
        if (req.url ~ "part") { return (synth(700, "part")); }
    }
    sub vcl_synth {
        set resp.body = "[" + req.url + "]";
        set resp.status = 200;
        return (deliver);
    }
    sub vcl_backend_response {
        set beresp.do_gzip = true;
        set beresp.do_esi = true;
    }
} -start
client c1 -repeat 50 {
    txreq -url "/page"
    rxresp
    expect resp.body == "[/part]middle[/part]"
    txreq -url "/page" -hdr "Accept-Encoding: gzip"
    rxresp
    expect resp.http.Content-Encoding == gzip
    gunzip
    expect resp.body == "[/part]middle[/part]"
} -run
varnish v1 -expect MAIN.n_gzip > 0
varnish v1 -expect MAIN.n_gunzip > 0
varnish v1 -expect MAIN.esi_errors == 0
""",
    "streams": """
# Eight clients of one object that is still arriving, in pieces.
barrier b1 cond 9
server s1 {
    rxreq
    txresp -nolen -hdr "Transfer-Encoding: chunked"
    chunkedlen 100000
    barrier b1 sync
""" + each(20, "    chunkedlen 100%d0") + """
    chunkedlen 0
} -start
varnish v1 -vcl+backend { } -start
""" + each(8, """
client c%d {
    txreq
    rxresphdrs
    expect resp.status == 200
    barrier b1 sync
    rxrespbody
    expect resp.bodylen == 1201900
} -start
""") + each(8, "client c%d -wait") + """
varnish v1 -expect MAIN.n_object == 1
varnish v1 -expect MAIN.backend_req == 1
""",
    "programs": """
# Configurations come and go: each is compiled, loaded and unloaded.
varnish v1 -vcl { backend nowhere none; } -start
""" + each(5, """
varnish v1 -vcl {
    import std;
    import directors;
    backend one { .host = "127.0.0.1"; }
    backend two { .host = "127.0.0.2"; }
    sub vcl_init {
        new pair = directors.round_robin();
        pair.add_backend(one);
        pair.add_backend(two);
    }
    sub vcl_recv { set req.backend_hint = pair.backend(); return (synth(200)); }
    sub vcl_synth { set resp.http.X-Number = std.toupper("number%d"); }
}
client c1 {
    txreq
    rxresp
    expect resp.http.X-Number == "NUMBER%d"
} -run
varnish v1 -cliok "vcl.use vcl1"
""") + """
varnish v1 -cliok "vcl.discard vcl[2-6]"
varnish v1 -expect MAIN.n_vcl_avail == 1
""",
    "restart": """
server s0 {
    rxreq
    txresp -hdr "Connection: close" -bodylen 1000
} -dispatch
varnish v1 -vcl+backend { } -start
""" + each(3, """
client c1 {
    txreq
    rxresp
    expect resp.bodylen == 1000
    txreq
    rxresp
    expect resp.http.X-Varnish ~ "[0-9] [0-9]"
} -run
varnish v1 -expect MAIN.cache_miss == 1
varnish v1 -stop
varnish v1 -start
""") + """
varnish v1 -expect MGT.child_panic == 0
varnish v1 -expect MGT.child_died == 0
""",
    "http2": """
server s0 {
    rxreq
    txresp -hdr "Connection: close" -bodylen 30000
} -dispatch
varnish v1 -vcl+backend { } -start
varnish v1 -cliok "param.set feature +http2"
client c1 {
""" + each(10, """
    stream 1%d1 {
        txreq -url "/%d"
        rxresp
        expect resp.status == 200
        expect resp.bodylen == 30000
    } -run
    stream 0 { txwinup -size 100000 } -run
""") + """
} -run
varnish v1 -expect MAIN.s_fetch == 10
""",
}


def varnishtest(side):
    """varnishtest itself does not link the library; the varnishd that it
    starts does."""
    modules = f"{side.store.root}/{LIBRARIES}/varnish/vmods"
    side.note_program(side.store.program("varnishd"))
    for name, script in SCRIPTS.items():
        side.write(f"{name}.vtc", f'varnishtest "{name}"\n{script}')
        said = side.run(
            ["env", "varnishtest", "-b", "64m", "-t", "50",
             "-D", f"library={side.library}", "-p", f"vmod_path={modules}",
             f"{name}.vtc"], record=False)
        side.record(name, re.sub(rb"\(\d+\.\d+\)", b"(TIME)", said))
