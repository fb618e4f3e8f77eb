"""The attacker of the statement: forged witnesses of a batch, and an exact judge of them.

``forgery``       a witness whose every column a cheat may choose
``bases``         honest batches that cheats start from
``oracle``        which rules refuse a witness, and whether it passes without some of them
``rules``         for every constraint and every message, a cheat that only this rule refuses
``catalogue``     attacks with a name
``publications``  provers of several batches who prove anew what they changed
"""
