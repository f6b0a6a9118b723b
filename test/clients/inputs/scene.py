# SPDX-License-Identifier: MIT
"""scene - run by Blender: what its malloc_conf made of jemalloc, then a scene
that is built, rendered, saved and read again. A digest of each is printed."""
import ctypes
import hashlib
import os

import bpy


def option(name, kind):
    value = kind()
    room = ctypes.c_size_t(ctypes.sizeof(value))
    error = ctypes.CDLL(None).mallctl(
        name.encode(), ctypes.byref(value), ctypes.byref(room), None,
        ctypes.c_size_t(0))
    print("RESULT", name, error, value.value)


def threads():
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/comm", encoding="utf-8") as file:
            yield file.read().strip()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def build():
    """A smooth head, united with the cube that is there."""
    bpy.ops.mesh.primitive_monkey_add(location=(2, 0, 0))
    head = bpy.context.object
    head.modifiers.new("smooth", "SUBSURF").levels = 3
    union = head.modifiers.new("union", "BOOLEAN")
    union.object = bpy.data.objects["Cube"]
    union.operation = "UNION"
    mesh = head.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    points = sorted(tuple(round(x, 4) for x in vertex.co)
                    for vertex in mesh.vertices)
    print("RESULT mesh", len(points), len(mesh.polygons),
          digest(repr(points).encode()))


def render():
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 8
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 160, 120
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "BMP"
    scene.render.filepath = os.path.abspath("scene.bmp")
    bpy.ops.render.render(write_still=True)
    with open("scene.bmp", "rb") as file:
        print("RESULT picture", digest(file.read()))


def save_and_read():
    path = os.path.abspath("scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    for _ in range(3):
        bpy.ops.wm.open_mainfile(filepath=path)
    print("RESULT objects", sorted(bpy.data.objects.keys()),
          sum(len(mesh.vertices) for mesh in bpy.data.meshes))


print("RESULT has its thread", "jemalloc_bg_thd" in threads())
option("opt.background_thread", ctypes.c_bool)
option("background_thread", ctypes.c_bool)
option("opt.dirty_decay_ms", ctypes.c_ssize_t)
build()
render()
save_and_read()
