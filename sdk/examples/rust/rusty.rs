// SPDX-License-Identifier: MIT
//! A benchmark in Rust, with rustc alone: how long creating a VM takes. What the C headers say comes
//! from bindgen; nothing of theirs is written again here but the macro NOVA_PLUGIN.
#![allow(clippy::missing_safety_doc)]

mod sys {
    #![allow(dead_code, non_camel_case_types, non_snake_case, non_upper_case_globals)]
    #![allow(unaligned_references, deref_nullptr)] // in bindgen's layout tests
    include!(env!("NOVACORE_BINDINGS"));
}

use std::mem::size_of;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr::null;
use sys::*;

/// Tables for the host: never written after the program was linked, so any thread may read them.
#[repr(transparent)]
struct Table<T>(T);
unsafe impl<T> Sync for Table<T> {}

macro_rules! text {
    ($text:expr) => {
        concat!($text, "\0").as_ptr() as *const c_char
    };
}

/// `nova_note.name`, whether a C char has a sign here or not.
const fn note_name() -> [c_char; 12] {
    let bytes = b"novacore\0\0\0\0";
    let mut name = [0 as c_char; 12];
    let mut i = 0;
    while i < bytes.len() {
        name[i] = bytes[i] as c_char;
        i += 1;
    }
    name
}

#[used]
#[link_section = ".note.novacore"]
static NOTE: nova_note = nova_note {
    name_bytes: 9,
    data_bytes: 20,
    type_: NOVA_NOTE_TYPE,
    name: note_name(),
    major: NOVA_ABI_MAJOR,
    minor: NOVA_ABI_MINOR,
    min_minor: 0,
    kind: NOVA_KIND_BENCHMARK,
    draft: 0,
};

/// One instance. The host calls it from one thread at a time, but another each time if it likes.
struct Rusty {
    lab: &'static nova_lab,
}

impl Rusty {
    /// The stamp of the last call on this VM, or the code of what is missing.
    unsafe fn stamp(&self, run: nova_run, vm: nova_vm, field: u32) -> Result<i64, c_int> {
        let mut result: nova_result = std::mem::zeroed();
        result.struct_size = size_of::<nova_result>() as u32;
        let get = self.lab.result.ok_or(NOVA_E_INTERNAL)?;
        match get(run, vm, field, 0, &mut result) {
            0 => Ok(result.i64_),
            code => Err(code),
        }
    }

    unsafe fn create_one(&self, run: nova_run, sample: &mut nova_sample) -> Result<(), c_int> {
        let vm_create = self.lab.vm_create.ok_or(NOVA_E_INTERNAL)?;
        match vm_create(run, 0, null(), 0, &mut sample.vm) {
            0 => (),
            code => return Err(code),
        }
        let from = self.stamp(run, sample.vm, NOVA_FIELD_STARTED_NS)?;
        let to = self.stamp(run, sample.vm, NOVA_FIELD_RETURNED_NS)?;
        sample.value = (to.wrapping_sub(from)) as f64 / 1e9;
        sample.t_ns = to;
        Ok(())
    }
}

unsafe extern "C" fn create(
    _host: *const nova_host,
    lab: *const nova_lab,
    _run: nova_run,
    this: *mut *mut c_void,
) -> c_int {
    *this = Box::into_raw(Box::new(Rusty { lab: &*lab })) as *mut c_void;
    NOVA_DONE as c_int
}

unsafe extern "C" fn destroy(this: *mut c_void) {
    drop(Box::from_raw(this as *mut Rusty));
}

unsafe extern "C" fn replicate(this: *mut c_void, run: nova_run, _index: u32, _side: u32) -> c_int {
    let rusty = &*(this as *const Rusty);
    let mut sample: nova_sample = std::mem::zeroed();

    sample.struct_size = size_of::<nova_sample>() as u32;
    sample.metric = CREATE.0.name;
    sample.status = match rusty.create_one(run, &mut sample) {
        Ok(()) => NOVA_SAMPLE_OK,
        Err(code) if code == NOVA_E_INTERRUPTED || code == NOVA_E_REFUSED => return code,
        Err(code) if code == NOVA_E_TIMEOUT => NOVA_SAMPLE_TIMED_OUT,
        Err(_) => NOVA_SAMPLE_FAILED,
    };
    match (rusty.lab.sample, rusty.lab.attempt) {
        (Some(put), Some(attempt)) => match put(run, &sample) {
            0 => attempt(run, sample.status),
            code => code,
        },
        _ => NOVA_E_INTERNAL,
    }
}

static CREATE: Table<nova_metric> = Table(nova_metric {
    struct_size: size_of::<nova_metric>() as u32,
    unit: NOVA_UNIT_SECOND,
    better: NOVA_BETTER_LOWER,
    revision: 1,
    name: text!("rusty.create"),
    doc: text!("From the call that creates a VM to its return"),
});
static METRICS: Table<[*const nova_metric; 2]> = Table([&CREATE.0, null()]);
static NEEDS: Table<[*const c_char; 2]> = Table([NOVA_CAN_CREATE.as_ptr() as *const c_char, null()]);
static BENCHMARK: Table<nova_benchmark> = Table(nova_benchmark {
    struct_size: size_of::<nova_benchmark>() as u32,
    flags: 0,
    targets_min: 1,
    targets_max: 0,
    needs: NEEDS.0.as_ptr(),
    metrics: METRICS.0.as_ptr(),
    create: Some(create),
    setup: None,
    replicate: Some(replicate),
    teardown: None,
    destroy: Some(destroy),
    width: None,
});
static PLUGIN: Table<nova_plugin> = Table(nova_plugin {
    struct_size: size_of::<nova_plugin>() as u32,
    kind: NOVA_KIND_BENCHMARK,
    thread_model: NOVA_THREADS_PARALLEL,
    flags: 0,
    name: text!("rusty"),
    version: text!("0.1"),
    summary: text!("How long creating a VM takes, in Rust"),
    license: text!("MIT"),
    parameters: null(),
    probe: None,
    ops: &BENCHMARK.0 as *const nova_benchmark as *const c_void,
});

#[no_mangle]
pub extern "C" fn nova_plugin_entry_v1(_host: *const nova_host) -> *const nova_plugin {
    &PLUGIN.0
}
