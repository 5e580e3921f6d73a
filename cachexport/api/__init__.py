"""What a program calls, by what it is for; `cachexport` itself has all of it."""
