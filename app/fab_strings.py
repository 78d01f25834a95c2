"""Sentences of Flask-AppBuilder and WTForms that Kontor says itself, in German: missing there, or not good enough.

They stand here so that `make messages` finds them; nobody calls this module. Kontor's catalogue is searched after
FAB's, so what it says about a sentence wins. A test names every sentence of FAB's that nobody says in German.
"""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

MISSING_IN_FAB = (
    _l("Add"),
    _l("Add Group"),
    _l("Are you sure you want to delete this item?"),
    _l("Database Error"),
    _l("Delete"),
    _l("Edit"),
    _l("Edit Group"),
    _l("Either select a role or a group"),
    _l("Groups"),
    _l("In"),
    _l(
        "Must have at least two capital letters, one special character, two digits, three lower case letters and a "
        "minimal length of 10."
    ),
    _l("Not In"),
    _l("Not a valid choice"),
    _l("Show"),
    _l("Show Group"),
    _l("Sign In with "),
    _l("Start with"),
    _l("The user's password for authentication"),
    _l("User(s) exists in the group, cannot delete"),
    _l("User(s) exists in the role, cannot delete"),
)

POOR_IN_FAB = (
    _l("Access is Denied"),
    _l("Add Role"),
    _l("Add a new record"),
    _l("Associated data exists, please delete them first"),
    _l("Audit Info"),
    _l("Contains (insensitive)"),
    _l("Copy Role"),
    _l("Copy the selected roles?"),
    _l("Detail"),
    _l("Fill out the registration form"),
    _l("Integrity error, probably unique constraint"),
    _l("Invalid login. Please try again."),
    _l("It's not a good policy to remove a user, just make it inactive"),
    _l("Last login"),
    _l("List of Registration Requests"),
    _l("Login count"),
    _l("Not Equal to"),
    _l("Please use a good password policy, this application does not check this for you"),
    _l("Relation as Many"),
    _l("Reset Password Form"),
    _l("Show Base Permission"),
    _l("Show Permission on Views/Menus"),
    _l("The user's email, this will also be used for OID auth"),
    _l("Username valid for authentication on DB or LDAP, unused for OID auth"),
    _l("You sure you want to delete this item?"),
    _l("Your user is activated you can now proceed to login"),
)
