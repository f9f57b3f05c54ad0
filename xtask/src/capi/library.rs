//! The libraries that are made of the crate.
//!
//! The shared library is one file. Programs of Debian ask for it by up to three names, and a process may do so by several
//! of them; the loader maps a file once, under however many names it comes. It says of itself that it is the core.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use super::PACKAGE;
use super::symbols::{Names, Symbols, defined, shown};
use crate::process;
use crate::workspace::Workspace;
use crate::{Error, Result};

/// The shared file, and what it calls itself.
pub(super) const SHARED: &str = "libevent_core-2.1.so.7";
/// The other names that programs know it by; and those that a linker looks for.
pub(super) const SHARED_LINKS: &[&str] = &[
    "libevent-2.1.so.7",
    "libevent_pthreads-2.1.so.7",
    "libevent.so",
    "libevent_core.so",
    "libevent_pthreads.so",
];
/// The library for `LD_PRELOAD`, which stands before the system's libevent instead of in its place.
pub(super) const PRELOAD: &str = "libev_preload.so";

const STATIC: &str = "libevent.a";
const STATIC_LINKS: &[&str] = &["libevent_core.a", "libevent_pthreads.a"];

/// A package for pkg-config, and what it asks the linker for.
const PACKAGES: &[(&str, &str)] = &[
    ("libevent", "-levent"),
    ("libevent_core", "-levent_core"),
    ("libevent_pthreads", "-levent_pthreads"),
];

/// Nothing that a shared file calls is missing.
const COMPLETE: &str = "-Wl,-z,defs";
/// What is missing is in the program.
pub(super) const WITH_PROGRAM: &str = "-Wl,-z,undefs";

/// Whole-program optimisation: the crates below are small and call each other much.
const PROFILE: &[&str] = &[
    "--config",
    "profile.release.lto=\"fat\"",
    "--config",
    "profile.release.codegen-units=1",
];

/// The libraries, built.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) directory: Utf8PathBuf,
    pub(super) symbols: Symbols,
}

impl Library {
    pub(super) fn build(workspace: &Workspace, directory: &Utf8Path) -> Result<Self> {
        let scratch = workspace.log_directory("capi");
        let archive = compile(workspace)?;
        let library = Self::link(workspace, &archive, directory, &scratch, COMPLETE)?;
        library.link_static(&archive, &scratch)?;
        fs::create_dir_all(directory.join("pkgconfig"))?;
        for name in STATIC_LINKS {
            link(STATIC, &directory.join(name))?;
        }
        let headers = header_directory();
        for (name, flag) in PACKAGES {
            fs::write(
                directory.join("pkgconfig").join(name).with_extension("pc"),
                package(name, flag, &headers),
            )?;
        }
        Ok(library)
    }

    /// The shared files, made of an archive; `completeness` is [`COMPLETE`], or [`WITH_PROGRAM`].
    pub(super) fn link(
        workspace: &Workspace,
        archive: &Utf8Path,
        directory: &Utf8Path,
        scratch: &Utf8Path,
        completeness: &str,
    ) -> Result<Self> {
        let library = Self {
            directory: directory.to_owned(),
            symbols: Symbols::read(&workspace.root().join(PACKAGE).join("symbols"))?,
        };
        library.find_missing(archive)?;
        for directory in [directory, scratch] {
            fs::create_dir_all(directory)?;
        }
        let files = [
            (SHARED, library.symbols.exported()),
            (PRELOAD, library.symbols.preloaded()),
        ];
        for (name, names) in files {
            let script = scratch.join(name).with_extension("map");
            fs::write(&script, version_script(&names))?;
            library.link_shared(
                archive,
                name,
                &names,
                &[completeness, &format!("-Wl,--version-script={script}")],
            )?;
        }
        for name in SHARED_LINKS {
            link(SHARED, &directory.join(name))?;
        }
        Ok(library)
    }

    pub(super) fn shared(&self) -> Utf8PathBuf {
        self.directory.join(SHARED)
    }

    pub(super) fn preload(&self) -> Utf8PathBuf {
        self.directory.join(PRELOAD)
    }

    /// A name that the crate does not define would otherwise just not be exported.
    fn find_missing(&self, archive: &Utf8Path) -> Result {
        let defined = defined(&process::run(Command::new("nm").args([
            "-P",
            "--extern-only",
            "--defined-only",
            archive.as_str(),
        ]))?);
        let wanted = &self.symbols.exported() | &self.symbols.preloaded();
        let missing: Vec<_> = wanted.difference(&defined).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::Failed(format!(
            "{PACKAGE} does not define {} of the names in its lists:{}",
            missing.len(),
            shown(missing)
        )))
    }

    fn link_shared(&self, archive: &Utf8Path, name: &str, names: &Names, options: &[&str]) -> Result {
        let mut gcc = Command::new("gcc");
        gcc.args(["-shared", "-o", self.directory.join(name).as_str()])
            .arg(format!("-Wl,-soname,{name}"))
            .args(options)
            .args(["-Wl,-z,now", "-Wl,-z,relro", "-Wl,--gc-sections"])
            .args(names.iter().map(|name| format!("-Wl,-u,{name}")))
            .args([archive.as_str(), "-lgcc_s"]);
        process::run_silent(&mut gcc)
    }

    /// One object in which only the exported names are left, so that it clashes with nothing, not even with other
    /// libraries in Rust.
    fn link_static(&self, archive: &Utf8Path, scratch: &Utf8Path) -> Result {
        let names = self.symbols.exported();
        let object = scratch.join("libevent.o");
        let list = scratch.join("libevent.names");
        fs::write(
            &list,
            names.iter().map(String::as_str).collect::<Vec<_>>().join("\n") + "\n",
        )?;
        let mut ld = Command::new("ld");
        ld.args(["-r", "--gc-sections", "-o", object.as_str()])
            .args(names.iter().map(|name| format!("--undefined={name}")))
            .arg(archive);
        process::run_silent(&mut ld)?;
        let keep = format!("--keep-global-symbols={list}");
        // What the compiler keeps for its own optimiser is of no use here, and confuses the archiver's plugin.
        let useless = ["--remove-section=.llvmbc", "--remove-section=.llvmcmd"];
        process::run_silent(Command::new("objcopy").arg(keep).args(useless).arg(&object))?;
        let out = self.directory.join(STATIC);
        remove(&out)?;
        process::run_silent(Command::new("ar").args(["rcs", out.as_str(), object.as_str()]))
    }
}

/// Builds the crate as a static library of Rust's kind.
fn compile(workspace: &Workspace) -> Result<Utf8PathBuf> {
    let mut cargo = process::cargo(workspace, "rustc");
    cargo
        .args(["--package", PACKAGE, "--lib", "--release", "--crate-type", "staticlib"])
        .args(PROFILE);
    process::build_archive(&mut cargo)
}

/// What the linker is to export, all else being local. The names have no versions, as libevent's have none.
fn version_script(names: &Names) -> String {
    let mut script = "{\n  global:\n".to_owned();
    for name in names {
        script.push_str("    ");
        script.push_str(name);
        script.push_str(";\n");
    }
    script.push_str("  local: *;\n};\n");
    script
}

/// Where the system's libevent has its headers, which programs are compiled with.
fn header_directory() -> String {
    let asked = process::run(Command::new("pkg-config").args(["--variable=includedir", "libevent"]));
    asked.map_or_else(|_| "/usr/include".to_owned(), |answer| answer.trim().to_owned())
}

/// A file of pkg-config, which finds the libraries where it lies itself.
fn package(name: &str, flag: &str, headers: &str) -> String {
    format!(
        "libdir=${{pcfiledir}}/..\nincludedir={headers}\n\nName: {name}\nDescription: libevent 2.1's C interface for the \
         event core, on ev-core\nVersion: 2.1.12\nLibs: -L${{libdir}} {flag}\nLibs.private: -lgcc_s -lpthread\nCflags: \
         -I${{includedir}}\n"
    )
}

/// Makes `path` a link to `target`, whatever it was.
fn link(target: &str, path: &Utf8Path) -> Result {
    remove(path)?;
    Ok(symlink(target, path)?)
}

fn remove(path: &Utf8Path) -> Result {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_script_exports_its_names_and_nothing_else() {
        let names = ["event_add", "event_del"].map(str::to_owned).into();
        assert_eq!(
            version_script(&names),
            "{\n  global:\n    event_add;\n    event_del;\n  local: *;\n};\n"
        );
    }

    #[test]
    fn a_package_is_found_where_its_file_lies() {
        let package = package("libevent_core", "-levent_core", "/usr/include");
        assert!(package.starts_with("libdir=${pcfiledir}/..\nincludedir=/usr/include\n"));
        assert!(package.contains("\nLibs: -L${libdir} -levent_core\n"));
    }
}
