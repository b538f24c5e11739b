//! Where the servers of one worktree live, and whether that place is safe.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::account::{self, Account};
use super::error::Error;

/// What the longest socket path may be: `sun_path` of unix(7) and unix(4) without its final zero byte.
const SOCKET_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// How long the servers go on without a user.
const LINGER: Duration = Duration::from_secs(10);

/// How long the servers of a private directory go on without a user.
///
/// Not zero: a server whose starter was killed needs a moment to write the process id that the guardian wants.
const PRIVATE_LINGER: Duration = Duration::from_secs(1);

/// Increase it when the files change their meaning, so that two versions of twelve never share servers.
const LAYOUT: &[u8] = b"2";

/// A directory that holds private servers, their data, their sockets and their logs.
///
/// Nothing is created before [`Services::attach`](super::Services::attach).
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    pub(super) linger: Duration,
    pub(super) tick: Duration,
    pub(super) afterwards: Afterwards,
}

/// What the guardian does with the directory when the servers are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    Keep,
    Remove,
}

impl Directory {
    /// The directory of the Git worktree around `path`, or of `path` itself outside of Git.
    ///
    /// It is `{temp}/twelve-{uid}/{16 hexadecimal digits}`, where `{temp}` is the system's directory for temporary files (`TMPDIR`).
    /// The worktree itself would not do: its path may be too long for a socket, and root's home is closed to the account that runs the servers.
    ///
    /// # Errors
    ///
    /// When `path` does not exist.
    pub fn of_worktree(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let path = path
            .canonicalize()
            .map_err(|source| Error::io("find the worktree", path, source))?;
        let worktree = path
            .ancestors()
            .find(|ancestor| ancestor.join(".git").exists())
            .unwrap_or(&path);
        Ok(Self::named(&[worktree.as_os_str().as_bytes()]))
    }

    /// A directory of its own, under the system's directory for temporary files, that nobody else has.
    ///
    /// For tests that stop or kill servers: it goes away with everything in it one or two seconds after its last user.
    #[must_use]
    pub fn private() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut directory = Self::named(&[
            b"private",
            &process::id().to_ne_bytes(),
            &COUNT.fetch_add(1, Ordering::Relaxed).to_ne_bytes(),
            &now.as_nanos().to_ne_bytes(),
        ]);
        directory.linger = PRIVATE_LINGER;
        directory.afterwards = Afterwards::Remove;
        directory
    }

    /// The directory at `path`, which is created when it is missing and stays when the servers are gone.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            // The servers run in another working directory. It only fails for an empty path, which is refused later.
            path: std::path::absolute(&path).unwrap_or(path),
            linger: LINGER,
            tick: Duration::from_secs(1),
            afterwards: Afterwards::Keep,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn named(key: &[&[u8]]) -> Self {
        let parent = env::temp_dir().join(format!("twelve-{}", account::effective_uid()));
        Self::at(parent.join(format!("{:016x}", hash(key))))
    }

    /// Held while servers are started or stopped by request.
    pub(super) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// One file for each user.
    pub(super) fn users(&self) -> PathBuf {
        self.path.join("users")
    }

    /// Made by a guardian that is about to stop the servers.
    pub(super) fn stopping(&self) -> PathBuf {
        self.path.join("stopping")
    }

    /// A file of ours about the process `name`.
    pub(super) fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.path.join(format!("{name}.{extension}"))
    }

    /// The directory that belongs to the server `name`.
    pub(super) fn home(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The path of a socket in the home of the server `name`, checked against the limit of the system.
    pub(super) fn socket(&self, name: &str, socket: &str) -> Result<PathBuf, Error> {
        let path = self.home(name).join(socket);
        if path.as_os_str().len() > SOCKET_PATH_LIMIT {
            return Err(Error::too_long(path, SOCKET_PATH_LIMIT));
        }
        Ok(path)
    }

    /// Is there a temporary directory that it can be created in?
    pub(super) fn has_place(&self) -> bool {
        let place = self.path.parent().and_then(Path::parent);
        place.is_some_and(Path::is_dir)
    }

    /// Creates what is missing, and refuses what another user may have put there.
    pub(super) fn prepare(&self, account: Option<&Account>) -> Result<(), Error> {
        // The servers' account has to pass through to its own directories, and sees nothing on the way.
        let mode = if account.is_some() { 0o711 } else { 0o700 };
        if let Some(parent) = self.path.parent() {
            let shared = format!("twelve-{}", account::effective_uid());
            if parent.file_name().is_some_and(|name| name == &*shared) {
                create(parent, mode)?;
            } else {
                fs::create_dir_all(parent).map_err(|source| Error::io("create", parent, source))?;
            }
            if let Some(account) = account {
                account.can_pass(parent)?;
            }
        }
        create(&self.path, mode)?;
        create(&self.users(), 0o700)
    }

    /// Creates it if it is missing, and refuses one that another user may have put there.
    #[cfg(feature = "environment")]
    pub(crate) fn claim(&self) -> Result<(), Error> {
        self.prepare(Account::for_servers()?.as_ref())
    }

    /// Creates the directory that belongs to the server `name`, closed to all but its account.
    ///
    /// Both servers trust whoever reaches their socket, so nobody else may.
    pub(super) fn prepare_home(
        &self,
        name: &str,
        account: Option<&Account>,
    ) -> Result<PathBuf, Error> {
        let home = self.home(name);
        let uid = account.map_or_else(account::effective_uid, |account| account.uid);
        match DirBuilder::new().mode(0o700).create(&home) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::io("create", home, source)),
        }
        if let Some(account) = account {
            // A no-op but for the first time; its parent belongs to us, so the name cannot be swapped meanwhile.
            chown(&home, Some(account.uid), Some(account.gid))
                .map_err(|source| Error::io("give away", &home, source))?;
        }
        check(&home, uid)?;
        Ok(home)
    }
}

fn create(path: &Path, mode: u32) -> Result<(), Error> {
    let io_error = |source| Error::io("create", path, source);
    match DirBuilder::new().mode(mode).create(path) {
        // A umask may have taken away more than others' rights.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)).map_err(io_error)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(io_error(source)),
    }
    check(path, account::effective_uid())
}

/// Refuses a directory that someone else could have prepared: `/tmp` is open to everyone, and the name can be guessed.
fn check(path: &Path, uid: u32) -> Result<(), Error> {
    let found = fs::symlink_metadata(path).map_err(|source| Error::io("look at", path, source))?;
    let problem = if found.is_symlink() {
        "it is a symbolic link"
    } else if !found.is_dir() {
        "it is not a directory"
    } else if found.uid() != uid {
        "it belongs to another user"
    } else if found.mode() & 0o022 != 0 {
        "others may write to it"
    } else {
        return Ok(());
    };
    Err(Error::refused(path, problem))
}

/// FNV-1a, because the standard library's hasher may change between two compilers that share a worktree.
fn hash(key: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in [LAYOUT].iter().chain(key).copied().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scratch() -> PathBuf {
        let path = Directory::private().path;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let scratch = env::temp_dir().join(format!("twelve-directory-{name}"));
        fs::create_dir(&scratch).unwrap();
        scratch
    }

    #[test]
    fn a_worktree_has_one_directory_and_another_worktree_has_another() {
        let scratch = scratch();
        fs::create_dir_all(scratch.join("one/.git")).unwrap();
        fs::create_dir_all(scratch.join("one/src/deep")).unwrap();
        fs::create_dir_all(scratch.join("two/.git")).unwrap();
        let of = |name: &str| Directory::of_worktree(scratch.join(name)).unwrap().path;
        assert_eq!(of("one"), of("one/src/deep"));
        assert_ne!(of("one"), of("two"));
        fs::remove_dir_all(scratch).unwrap();
    }

    #[test]
    fn private_directories_never_repeat() {
        assert_ne!(Directory::private().path, Directory::private().path);
    }

    #[test]
    fn a_socket_path_that_is_too_long_is_refused_with_the_remedy() {
        let directory = Directory::at(format!("/tmp/{}", "x".repeat(90)));
        let error = directory.socket("postgres", ".s.PGSQL.5432").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("TMPDIR"), "{text}");
        assert!(text.contains("118 bytes"), "{text}");
    }

    #[test]
    fn a_symbolic_link_and_a_directory_open_to_others_are_refused() {
        let scratch = scratch();
        let real = scratch.join("real");
        create(&real, 0o700).unwrap();
        symlink(&real, scratch.join("link")).unwrap();
        let error = Directory::at(scratch.join("link")).prepare(None);
        assert!(error.unwrap_err().to_string().contains("symbolic link"));

        fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let error = Directory::at(&real).prepare(None);
        assert!(error.unwrap_err().to_string().contains("others may write"));

        let error = check(Path::new("/"), 12345);
        assert!(error.unwrap_err().to_string().contains("another user"));
        fs::remove_dir_all(scratch).unwrap();
    }
}
